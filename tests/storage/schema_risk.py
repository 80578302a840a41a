"""Good and wrong rows of margin modes and liquidations, for `test_schema`."""

Change = dict[str, str]
USER = "1000000"

WORLD = """
INSERT INTO liquidations (liquidation_id, account_id, asset_id, market_id, flagged_in_market_id, flagged_at_sequence,
    equity_units, maintenance_units, opened_at_ms) VALUES (50, 1000000, 1, 0, 2, 1, 5, 6, 5);
"""

GOOD: dict[str, Change] = {
    "liquidations": {
        "liquidation_id": "7",
        "account_id": USER,
        "asset_id": "1",
        "market_id": "2",
        "flagged_in_market_id": "2",
        "flagged_at_sequence": "1",
        "equity_units": "5",
        "maintenance_units": "6",
        "opened_at_ms": "5",
    },
    "liquidation_steps": {
        "liquidation_id": "50",
        "step": "1",
        "kind": "1",
        "equity_units": "5",
        "maintenance_units": "6",
        "created_at_ms": "5",
    },
}
ISOLATED = {"margin_mode": "2", "isolated_margin_units": "30"}
FLAT = {
    "position_lots": "0",
    "cost_units": "0",
    "margin_mode": "2",
}
LIQUIDATION = {
    "client_order_id": "NULL",
    "request_hash": "NULL",
    "purpose": "2",
    "reduce_only": "true",
    "time_in_force": "2",
    "maker_fee_ppm": "0",
    "taker_fee_ppm": "0",
    "bankruptcy_price_ticks": "90",
}

MORE_GOOD: tuple[tuple[str, Change], ...] = (
    ("positions", ISOLATED),
    ("positions", {**FLAT, "liquidation_id": "50", "isolated_margin_units": "-3"}),
    ("orders", LIQUIDATION),
    ("liquidations", {"state": "4", "closed_at_ms": "5"}),
    ("liquidation_steps", {"kind": "4", "amount_units": "5"}),
)

WRONG: list[tuple[str, str, Change]] = [
    ("positions_margin_mode_known", "positions", {"margin_mode": "3"}),
    ("positions_isolated_margin_with_position", "positions", {"isolated_margin_units": "30"}),
    ("positions_isolated_margin_with_position", "positions", {**FLAT, "isolated_margin_units": "30"}),
    ("positions_isolated_margin_with_position", "positions", {**FLAT, "isolated_margin_units": "-3"}),
    (
        "positions_isolated_margin_with_position",
        "positions",
        {**FLAT, "liquidation_id": "50", "isolated_margin_units": "3"},
    ),
    ("positions_chosen_leverage_range", "positions", {"chosen_leverage": "-1"}),
    ("orders_purpose_known", "orders", {**LIQUIDATION, "purpose": "3"}),
    ("orders_liquidation_terms", "orders", {"bankruptcy_price_ticks": "90"}),
    ("orders_liquidation_terms", "orders", {**LIQUIDATION, "bankruptcy_price_ticks": "0"}),
    ("orders_liquidation_terms", "orders", {**LIQUIDATION, "reduce_only": "false"}),
    ("orders_liquidation_terms", "orders", {**LIQUIDATION, "taker_fee_ppm": "500"}),
    ("orders_liquidation_terms", "orders", {**LIQUIDATION, "time_in_force": "1"}),
    ("liquidations_account_id_fkey", "liquidations", {"account_id": "1000099"}),
    ("liquidations_users_only", "liquidations", {"account_id": "3"}),
    ("liquidations_scope_range", "liquidations", {"market_id": "-1"}),
    ("liquidations_below_maintenance", "liquidations", {"equity_units": "7"}),
    ("liquidations_state_known", "liquidations", {"state": "5"}),
    ("liquidations_closed_by_state", "liquidations", {"state": "4"}),
    ("liquidations_closed_by_state", "liquidations", {"closed_at_ms": "6"}),
    ("liquidations_steps_range", "liquidations", {"steps": "-1"}),
    ("liquidations_waits_complete", "liquidations", {"waits_in_markets": "'{1}'"}),
    ("liquidations_times_in_order", "liquidations", {"state": "4", "closed_at_ms": "4"}),
    ("liquidation_steps_liquidation_fkey", "liquidation_steps", {"liquidation_id": "51"}),
    ("liquidation_steps_step_range", "liquidation_steps", {"step": "0"}),
    ("liquidation_steps_kind_known", "liquidation_steps", {"kind": "6"}),
    ("liquidation_steps_order_with_reduction", "liquidation_steps", {"kind": "2"}),
    ("liquidation_steps_order_with_reduction", "liquidation_steps", {"order_id": "5"}),
    ("liquidation_steps_amount_with_cover", "liquidation_steps", {"amount_units": "5"}),
    ("liquidation_steps_amount_with_cover", "liquidation_steps", {"kind": "4"}),
]

TWICE: list[tuple[str, str, Change]] = [
    ("liquidations_pkey", "liquidations", {"market_id": "1"}),
    ("liquidations_one_open", "liquidations", {"liquidation_id": "8"}),
    ("liquidation_steps_pkey", "liquidation_steps", {"kind": "3"}),
]

STATEMENTS: list[tuple[str, str]] = [("liquidation_steps_append_only", "DELETE FROM liquidation_steps")]
