"""Every rule of the matching engine, as book tables, on both engines."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from crossbook.domain.errors import Reason

from .language import Case, read_file
from .runner import run_case

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*.book"))
CASES = [case for file in FILES for case in read_file(file)]
ENGINES = {
    "fast": ("crossbook.matching", "Engine"),
    "reference": ("crossbook.matching.reference", "ReferenceEngine"),
}
every_case = pytest.mark.parametrize("case", CASES, ids=[case.place for case in CASES])


def engine_class(name: str) -> Any:
    """The engine of that name; skips the test while it can not be imported."""
    module, attribute = ENGINES[name]
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        pytest.skip(f"{module}.{attribute}: {error}")


@pytest.mark.parametrize("engine", ENGINES)
@every_case
def test_rule(case: Case, engine: str) -> None:
    run_case(case, engine_class(engine))


@every_case
def test_both_engines_agree_on_the_state_hash_after_every_command(case: Case) -> None:
    fast, reference = engine_class("fast"), engine_class("reference")
    assert run_case(case, fast) == run_case(case, reference)


def _event_words() -> set[str]:
    return {word for case in CASES for step in case.steps for event in step.events for word in event.split()}


# It takes two million orders of the largest quantity to fill a side: no table.
TABLED = [reason for reason in Reason if reason >= 300 and reason is not Reason.BOOK_FULL]


@pytest.mark.parametrize("reason", TABLED, ids=lambda reason: reason.name)
def test_every_reason_of_the_engine_has_a_case(reason: Reason) -> None:
    assert reason.name in _event_words()


def test_no_rule_is_stated_twice() -> None:
    rules = [case.rule for case in CASES]
    assert sorted(set(rules)) == sorted(rules)
