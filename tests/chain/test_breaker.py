"""The circuit breaker: open after failures in a row, one try after a while."""

from crossbook.chain.breaker import CircuitBreaker
from crossbook.system import ManualClock


def made() -> tuple[ManualClock, CircuitBreaker]:
    clock = ManualClock()
    return clock, CircuitBreaker(clock, failures=3, open_ms=1_000)


def test_it_opens_after_failures_in_a_row_only() -> None:
    _, breaker = made()
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.allows()
    for _ in range(3):
        assert breaker.allows()
        breaker.failed()
    assert not breaker.allows()


def test_after_a_while_one_call_tries_and_the_others_wait() -> None:
    clock, breaker = made()
    for _ in range(3):
        breaker.failed()
    clock.advance(999)
    assert not breaker.allows()
    clock.advance(1)
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert [breaker.allows() for _ in range(3)] == [True, True, True]


def test_a_try_that_fails_opens_it_again_at_once() -> None:
    clock, breaker = made()
    for _ in range(3):
        breaker.failed()
    clock.advance(1_000)
    assert breaker.allows()
    breaker.failed()
    clock.advance(999)
    assert not breaker.allows()


def test_a_try_that_never_ends_does_not_close_it_for_ever() -> None:
    clock, breaker = made()
    for _ in range(3):
        breaker.failed()
    clock.advance(1_000)
    assert breaker.allows()
    clock.advance(1_000)
    assert breaker.allows()
