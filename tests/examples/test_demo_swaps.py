"""The demo board of a whole venue: bots swap on it from the first second, and a restart keeps everybody's wallet."""

from pathlib import Path
from typing import Any

import httpx2

from tests.examples.swapping_venue import swapping_venue
from tests.venue_process import eventually


def test_bots_swap_and_a_restart_keeps_wallets(tmp_path: Path) -> None:
    with swapping_venue(tmp_path / "venue") as place:

        def asked(path: str, **body: Any) -> Any:
            return httpx2.post(f"{place.process.url}/api{path}", json=body).json()["data"]

        def trades() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = asked("/orders/get-trades", pairId=place.pair_id)
            return found

        first = eventually(trades)
        assert {first[-1]["buyer"]["alias"], first[-1]["seller"]["alias"]} == {"swap-maker", "swap-taker"}
        pair = asked("/dex/get-pair", id=place.pair_id)
        assert (pair["first_currency"]["code"], pair["second_currency"]["code"]) == ("LTHN", "USDL")
        assert pair["rate"] > 0
        before = place.process.demo
        money = {name: place.money(name) for name in place.wallets}
        assert place.process.stop() == 0

        place.process.start()
        assert place.process.demo == before
        assert {name: place.money(name) for name in place.wallets} == money
        eventually(lambda: len(trades()) > len(first))
        assert place.admin.call("get_balances")["imbalance"] == {}
        assert '"level":"error"' not in place.process.log
