"""The assets of the simulated chain."""

from typing import Final

from crossbook.wallet_sim.chain import Asset, Funds

NATIVE: Final = Asset(
    "d6329b5b1f7c0805b5c345f4957554002a2f557845f64d7645dae0e051a6498a", "LTHN", "Lethean", decimal_point=12
)
"""The chain's own currency. Its id is the one that chains of this family give it."""
DOLLAR: Final = Asset(
    "5c6f5a3b2e1d4c7b8a9f0e1d2c3b4a5968778695a4b3c2d1e0f1029384756af1", "USDL", "Simulated dollar", decimal_point=6
)
"""A stable asset, worth one unit of nothing."""
ENDOWMENT: Final = (Funds(NATIVE.asset_id, 100_000 * 10**12), Funds(DOLLAR.asset_id, 100_000 * 10**6))
"""What a new wallet begins with: 100,000 of each."""
