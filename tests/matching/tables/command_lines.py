"""Command lines of the book tables: orders and requests in a trader's words."""

from dataclasses import dataclass
from typing import Any, Final

from crossbook.domain.commands import (
    AdvanceTime,
    AmendOrder,
    ApplyFunding,
    Batch,
    CancelAll,
    CancelOrder,
    Command,
    ConfigureMarket,
    ForceTrade,
    ReduceOrder,
    SetMarketState,
    SetPosition,
    SettlePositions,
    SingleCommand,
    SubmitOrder,
    UpdatePrices,
)
from crossbook.domain.orders import OrderType, Side, TimeInForce

from .words import (
    ACCOUNTS,
    BAND_REFERENCES,
    MODES,
    SIDES,
    SOURCES,
    STATES,
    TIMES_IN_FORCE,
    Line,
    account,
    number,
    time_of,
)


@dataclass(frozen=True)
class CommandLine:
    """A command without its sequence and, unless the line says so, without its time."""

    line: int
    kind: type[SingleCommand]
    fields: dict[str, Any]
    time_ms: int | None = None
    sequence: int | None = None

    def command(self, sequence: int, now_ms: int) -> SingleCommand:
        """The command at `sequence` and `now_ms`, where the line does not name its own."""
        own = sequence if self.sequence is None else self.sequence
        return self.kind(own, now_ms if self.time_ms is None else self.time_ms, **self.fields)


@dataclass(frozen=True)
class BatchLines:
    """The members of one batch."""

    line: int
    members: tuple[CommandLine, ...]


Action = CommandLine | BatchLines


def actions_of(lines: list[Line]) -> tuple[Action, ...]:
    """The commands and batches that `lines` hold."""
    actions: list[Action] = []
    members: list[CommandLine] | None = None
    opening = 0
    for line in lines:
        if line.text == "batch":
            if members is not None:
                line.fail("a batch inside a batch")
            members, opening = [], line.number
        elif line.text == "end":
            if members is None:
                line.fail("end without batch")
            actions.append(BatchLines(opening, tuple(members)))
            members = None
        elif members is not None:
            members.append(_command(line))
        else:
            actions.append(_command(line))
    if members is not None:
        lines[-1].fail("batch without end")
    return tuple(actions)


class _Words:
    """The words of a line, taken one by one."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._words = line.text.split()

    def __bool__(self) -> bool:
        return bool(self._words)

    def peek(self) -> str:
        return self._words[0] if self._words else ""

    def word(self) -> str:
        if not self._words:
            self.line.fail("the line ends too early")
        return self._words.pop(0)

    def number(self) -> int:
        return number(self.line, self.word())

    def account(self) -> int:
        return account(self.line, self.word())

    def one_of(self, table: dict[str, Any]) -> Any:
        word = self.word()
        if word in table:
            return table[word]
        return number(self.line, word)


def _command(line: Line) -> CommandLine:
    words = _Words(line)
    time_ms = sequence = None
    if ":" in words.peek():
        time_ms = time_of(line, words.word())
    if words.peek() == "seq":
        words.word()
        sequence = words.number()
    verb = words.word()
    reader = _READERS.get(verb)
    if reader is None:
        line.fail(f"unknown command {verb!r}")
    kind, fields = reader(words, verb)
    if kind is AdvanceTime:
        time_ms = fields.pop("time_ms")
    if words:
        line.fail(f"unexpected word {words.peek()!r}")
    return CommandLine(line.number, kind, fields, time_ms, sequence)


_Read = tuple[type[SingleCommand], dict[str, Any]]


def _submit(words: _Words, verb: str) -> _Read:
    fields: dict[str, Any] = {"side": SIDES[verb], "quantity_lots": 0}
    kinds: set[str] = set()
    if words.peek()[:1].isdigit() or words.peek()[:1] == "-":
        fields["quantity_lots"] = words.number()
    while words:
        _order_word(words, words.word(), fields, kinds)
    fields["type"] = _order_type(words.line, kinds)
    if fields["type"] == OrderType.MARKET:
        fields.setdefault("time_in_force", TimeInForce.IOC)
    for name in ("order_id", "account_id"):
        if name not in fields:
            words.line.fail(f"an order needs its {name}")
    return SubmitOrder, fields


_NUMBER_WORDS: Final = {
    "at": "price_ticks",
    "protect": "price_ticks",
    "amount": "budget",
    "id": "order_id",
    "account": "account_id",
    "group": "trade_group",
    "show": "display_quantity_lots",
    "oco": "oco_order_id",
    "stop": "trigger_price_ticks",
    "take-profit": "trigger_price_ticks",
    "trigger-price": "trigger_price_ticks",
    "trail-field": "trail",
}
_FLAG_WORDS: Final = {"post-only": "post_only", "reduce-only": "reduce_only"}


def _order_word(words: _Words, word: str, fields: dict[str, Any], kinds: set[str]) -> None:
    if word in ("at", "market", "stop", "take-profit", "trail"):
        kinds.add(word)
    if word in _NUMBER_WORDS:
        fields[_NUMBER_WORDS[word]] = words.number()
    elif word in _FLAG_WORDS:
        fields[_FLAG_WORDS[word]] = True
    elif word == "trail":
        text = words.word()
        fields["trail"] = number(words.line, text.removesuffix("bp"))
        fields["trail_in_basis_points"] = text.endswith("bp")
    elif word == "on":
        fields["trigger_source"] = words.one_of(SOURCES)
    elif word == "self":
        fields["self_trade_prevention"] = words.one_of(MODES)
    elif word == "expires":
        fields["expire_time_ms"] = time_of(words.line, words.word())
    elif word == "gtd":
        fields["time_in_force"] = TimeInForce.GTD
        fields["expire_time_ms"] = time_of(words.line, words.word())
    elif word in TIMES_IN_FORCE:
        fields["time_in_force"] = TIMES_IN_FORCE[word]
    elif word in ACCOUNTS:
        fields["account_id"] = ACCOUNTS[word]
    elif word != "market":
        words.line.fail(f"unknown word {word!r}")


_KINDS: Final = {
    frozenset({"at"}): OrderType.LIMIT,
    frozenset({"market"}): OrderType.MARKET,
    frozenset({"stop"}): OrderType.STOP,
    frozenset({"stop", "at"}): OrderType.STOP_LIMIT,
    frozenset({"take-profit"}): OrderType.TAKE_PROFIT,
    frozenset({"take-profit", "at"}): OrderType.TAKE_PROFIT_LIMIT,
    frozenset({"trail"}): OrderType.TRAILING_STOP,
}


def _order_type(line: Line, kinds: set[str]) -> OrderType:
    found = _KINDS.get(frozenset(kinds))
    if found is None:
        line.fail("no order is of this kind")
    return found


def _by(words: _Words) -> int:
    if words.word() != "by":
        words.line.fail("expected 'by' and an account")
    return words.account()


def _cancel(words: _Words, _verb: str) -> _Read:
    return CancelOrder, {"order_id": words.number(), "account_id": _by(words)}


def _cancel_all(words: _Words, _verb: str) -> _Read:
    fields: dict[str, Any] = {"account_id": _by(words)}
    if words:
        fields["side"] = words.one_of({"buys": Side.BUY, "sells": Side.SELL})
    return CancelAll, fields


def _reduce(words: _Words, _verb: str) -> _Read:
    return ReduceOrder, {
        "order_id": words.number(),
        "account_id": _by(words),
        "quantity_lots": words.number(),
    }


def _amend(words: _Words, _verb: str) -> _Read:
    fields: dict[str, Any] = {"order_id": words.number(), "account_id": _by(words)}
    names = {"qty": "quantity_lots", "price": "price_ticks", "trigger": "trigger_price_ticks"}
    while words:
        word = words.word()
        if word not in names:
            words.line.fail(f"unknown word {word!r}")
        fields[names[word]] = words.number()
    return AmendOrder, fields


def _state(words: _Words, _verb: str) -> _Read:
    fields: dict[str, Any] = {"state": words.one_of(dict(STATES))}
    if words.peek() == "reference":
        words.word()
        fields["reference_price_ticks"] = words.number()
    return SetMarketState, fields


def _prices(words: _Words, verb: str) -> _Read:
    fields: dict[str, Any] = {f"{verb}_price_ticks": words.number()}
    if words:
        other = words.word()
        if other not in ("mark", "index"):
            words.line.fail(f"unknown word {other!r}")
        fields[f"{other}_price_ticks"] = words.number()
    return UpdatePrices, fields


def _clock(words: _Words, _verb: str) -> _Read:
    return AdvanceTime, {"time_ms": time_of(words.line, words.word())}


def _position(words: _Words, _verb: str) -> _Read:
    return SetPosition, {"account_id": words.account(), "position_lots": words.number()}


def _configure(words: _Words, _verb: str) -> _Read:
    names = {
        "reference": "reference_price_ticks",
        "max-open": "max_open_orders",
        "max-iceberg-parts": "max_iceberg_parts",
        "max-trailing": "max_trailing_orders",
    }
    fields: dict[str, Any] = {}
    while words:
        word = words.word()
        if word == "band":
            fields["band_basis_points"] = number(words.line, words.word().removesuffix("bp"))
        elif word == "on":
            fields["band_reference"] = words.one_of(dict(BAND_REFERENCES))
        elif word in names:
            fields[names[word]] = words.number()
        else:
            words.line.fail(f"unknown word {word!r}")
    return ConfigureMarket, fields


def _funding(words: _Words, _verb: str) -> _Read:
    fields: dict[str, Any] = {"rate_ppb": words.number()}
    for word, name in (("of", "index_price_ticks"), ("period", "period_start_ms")):
        if words.word() != word:
            words.line.fail(f"expected {word!r}")
        fields[name] = words.number()
    return ApplyFunding, fields


def _force(words: _Words, _verb: str) -> _Read:
    fields: dict[str, Any] = {"quantity_lots": words.number()}
    names = {"at": "price_ticks", "buyer": "buyer_account_id", "seller": "seller_account_id"}
    while words:
        word = words.word()
        if word not in names:
            words.line.fail(f"unknown word {word!r}")
        fields[names[word]] = words.number() if word == "at" else words.account()
    return ForceTrade, fields


def _settle(words: _Words, _verb: str) -> _Read:
    if words.word() != "at":
        words.line.fail("expected 'at' and a price")
    return SettlePositions, {"price_ticks": words.number()}


_READERS: Final = {
    "buy": _submit,
    "sell": _submit,
    "cancel": _cancel,
    "cancel-all": _cancel_all,
    "reduce": _reduce,
    "amend": _amend,
    "state": _state,
    "mark": _prices,
    "index": _prices,
    "clock": _clock,
    "position": _position,
    "configure": _configure,
    "funding": _funding,
    "force": _force,
    "settle": _settle,
}


def as_command(action: Action, sequence: int, now_ms: int) -> Command:
    """The command or batch that an action stands for, at `sequence` and `now_ms`."""
    if isinstance(action, CommandLine):
        return action.command(sequence, now_ms)
    return Batch(tuple(member.command(sequence, now_ms) for member in action.members))
