"""The schema: every rule in it refuses the state that it names, and everything in it is explained."""

import asyncio

import pytest

from crossbook.storage.database import Database, Transaction
from crossbook.storage.errors import ConstraintViolated
from tests.storage import schema_keys, schema_risk, schema_swaps
from tests.storage.support import using

HASH = "decode(repeat('00', 32), 'hex')"
RECORD = "decode(repeat('00', 112), 'hex')"
USER = "1000000"
OTHER_USER = "1000001"

# One good row of each table, as SQL. The wrong states below differ from these.
GOOD: dict[str, dict[str, str]] = {
    "users": {
        "user_id": "7",
        "kind": "1",
        "email": "'a@b'",
        "password_hash": "'$argon2id$x'",
        "created_at_ms": "5",
    },
    "sessions": {"session_hash": HASH, "user_id": "1", "created_at_ms": "5", "expires_at_ms": "6"},
    "assets": {"asset_id": "7", "name": "'ETH'", "decimals": "18"},
    "markets": {
        "market_id": "7",
        "symbol": "'ETH-PERP'",
        "kind": "2",
        "base_asset_id": "2",
        "quote_asset_id": "1",
        "status": "1",
        "tick_decimals": "1",
        "tick_size": "1",
        "lot_decimals": "3",
        "lot_size": "1",
        "maker_fee_ppm": "-100",
        "taker_fee_ppm": "500",
        "max_leverage": "20",
        "initial_margin_ppm": "50000",
        "maintenance_margin_ppm": "5000",
        "liquidation_fee_ppm": "15000",
        "funding_interval_hours": "8",
        "funding_rate_cap_ppm": "3750",
        "created_at_ms": "0",
    },
    "margin_tiers": {
        "market_id": "2",
        "floor_units": "0",
        "initial_margin_ppm": "2",
        "maintenance_margin_ppm": "1",
    },
    "accounts": {"account_id": "1000007", "user_id": "1", "created_at_ms": "0"},
    "requests": {
        "account_id": USER,
        "operation": "1",
        "client_id": "'x'",
        "request_hash": HASH,
        "result": "'{}'",
        "created_at_ms": "0",
    },
    "journals": {
        "journal_id": "7",
        "kind": "1",
        "market_id": "1",
        "sequence": "1",
        "event_index": "0",
        "created_at_ms": "0",
    },
    "balances": {
        "account_id": USER,
        "asset_id": "2",
        "is_margin_asset": "false",
        "total_units": "10",
        "held_units": "10",
    },
    "positions": {
        "account_id": USER,
        "market_id": "2",
        "position_lots": "-3",
        "cost_units": "-300",
        "open_buy_lots": "1",
        "open_buy_notional_units": "100",
        "open_sell_lots": "2",
        "open_sell_notional_units": "200",
        "fee_reserve_units": "1",
        "leverage": "10",
    },
    "market_sequences": {"market_id": "3"},
    "market_settlements": {"market_id": "3"},
    "orders": {
        "order_id": "7",
        "account_id": USER,
        "market_id": "1",
        "sequence": "1",
        "client_order_id": "'x'",
        "request_hash": HASH,
        "side": "1",
        "type": "1",
        "time_in_force": "1",
        "quantity_lots": "10",
        "price_ticks": "100",
        "status": "3",
        "open_lots": "6",
        "filled_lots": "4",
        "filled_notional_units": "400",
        "held_units": "600",
        "maker_fee_ppm": "-100",
        "taker_fee_ppm": "500",
        "external_id": "'x'",
        "created_at_ms": "5",
        "updated_at_ms": "5",
    },
    "amendments": {
        "market_id": "1",
        "sequence": "7",
        "order_id": "7",
        "account_id": USER,
        "side": "1",
        "quantity_lots": "20",
        "extra_lots": "10",
        "extra_notional_units": "1000",
        "extra_fee_reserve_units": "1",
    },
    "commands": {
        "market_id": "1",
        "sequence": "1",
        "version": "1",
        "record": RECORD,
        "accepted_at_ms": "0",
    },
    "fills": {
        "market_id": "1",
        "trade_id": "7",
        "side": "1",
        "order_id": "7",
        "account_id": USER,
        "role": "1",
        "price_ticks": "100",
        "quantity_lots": "4",
        "notional_units": "400",
        "fee_units": "-1",
        "fee_ppm": "-100",
        "fee_asset_id": "1",
        "sequence": "1",
        "event_index": "0",
        "created_at_ms": "0",
    },
    "snapshots": {"market_id": "1", "sequence": "1", "data": "'x'", "created_at_ms": "0"},
    "market_prices": {
        "market_id": "1",
        "mark_price_ticks": "100",
        "index_price_ticks": "0",
        "sequence": "1",
        "updated_at_ms": "0",
    },
    "fundings": {
        "market_id": "1",
        "period_start_ms": "0",
        "rate_ppb": "-100000",
        "index_price_ticks": "100",
        "positions": "2",
        "paid_units": "8",
        "received_units": "7",
        "dust_units": "1",
        "sequence": "1",
        "event_index": "0",
        "created_at_ms": "0",
    },
    "funding_payments": {
        "market_id": "1",
        "period_start_ms": "0",
        "account_id": USER,
        "position_lots": "-1",
        "amount_units": "7",
    },
    "position_closings": {
        "market_id": "1",
        "sequence": "1",
        "event_index": "0",
        "account_id": USER,
        "position_lots": "-1",
        "cost_units": "-100",
        "price_ticks": "90",
        "realised_pnl_units": "10",
        "created_at_ms": "0",
    },
    "market_pricing": {"market_id": "1", "state": "3", "halted_from": "1"},
    "index_quotes": {
        "market_id": "1",
        "source": "'desk-1'",
        "price_micro_ticks": "5",
        "quoted_at_ms": "0",
        "user_id": "1",
    },
    "funding_periods": {
        "market_id": "1",
        "period_start_ms": "0",
        "looked_at_ms": "5",
        "live": "true",
        "live_ms": "5",
        "samples": "1",
        "premium_sum_ppt": "-7",
        "index_price_ticks": "100",
        "rate_ppb": "100",
        "sequence": "1",
    },
    "admin_log": {"entry_id": "7", "user_id": "1", "action": "'market-state'", "reason": "'x'", "created_at_ms": "0"},
    "transfers": {
        "transfer_id": "7",
        "account_id": USER,
        "asset_id": "1",
        "type": "2",
        "platform": "1",
        "amount_units": "5",
        "client_transfer_id": "'x'",
        "request_hash": HASH,
        "look_at_ms": "5",
        "created_at_ms": "5",
        "updated_at_ms": "5",
    },
    "activity": {
        "activity_id": "7",
        "account_id": USER,
        "order_id": "7",
        "market_id": "1",
        "kind": "6",
        "side": "1",
        "external_id": "'x'",
        "price_ticks": "100",
        "quantity_lots": "4",
        "role": "1",
        "fee_ppm": "-100",
        "trade_id": "7",
        "sequence": "1",
        "recorded_at_ns": "0",
    },
    "simulated_custody": {"transfer_id": "7", "news": "2", "due_at_ms": "0"},
    "leases": {
        "market_id": "1",
        "role": "'matcher'",
        "holder": "'x'",
        "fencing_token": "1",
        "expires_at_ms": "0",
    },
    **schema_swaps.GOOD,
    **schema_keys.GOOD,
    **schema_risk.GOOD,
}

# What stands in the database before each wrong state is tried.
WORLD = f"""
INSERT INTO users (user_id, kind, created_at_ms) VALUES (1, 2, 0);
INSERT INTO assets (asset_id, name, decimals, is_margin_asset) VALUES (1, 'USDC', 6, true), (2, 'BTC', 8, false);
INSERT INTO markets (market_id, symbol, kind, base_asset_id, quote_asset_id, status,
                     tick_decimals, tick_size, lot_decimals, lot_size, created_at_ms)
SELECT number, 'BTC-' || number, 1, 2, 1, 1, 1, 1, 3, 1, 0 FROM generate_series(1, 3) AS number;
INSERT INTO accounts (account_id, user_id, created_at_ms) VALUES ({USER}, 1, 0), ({OTHER_USER}, 1, 0);
UPDATE market_sequences SET last_accepted_sequence = 2 WHERE market_id = 2;
INSERT INTO commands (market_id, sequence, version, record, accepted_at_ms)
VALUES (2, 1, 1, {RECORD}, 0), (2, 2, 1, {RECORD}, 0);
INSERT INTO amendments (market_id, sequence, order_id, account_id, side) VALUES (2, 7, 9, {USER}, 1);
DELETE FROM market_sequences WHERE market_id = 3;
DELETE FROM market_settlements WHERE market_id = 3;
"""

Change = dict[str, str]
MARKET_ORDER: Change = {
    "type": "2",
    "time_in_force": "2",
    "price_ticks": "0",
}
BY_AMOUNT: Change = {**MARKET_ORDER, "quantity_lots": "0", "budget": "1000", "open_lots": "0"}
STOP: Change = {"type": "3", "price_ticks": "0", "trigger_price_ticks": "5"}
TRAILING: Change = {"type": "7", "price_ticks": "0", "trail": "5"}
CANCELLED: Change = {"status": "5", "reason": "400", "open_lots": "0", "held_units": "0"}
FILLED: Change = {
    "status": "4",
    "filled_lots": "10",
    "filled_notional_units": "1000",
    "open_lots": "0",
    "held_units": "0",
}
SPOT: Change = {
    "kind": "1",
    "max_leverage": "1",
    "initial_margin_ppm": "1000000",
    "maintenance_margin_ppm": "1000000",
    "liquidation_fee_ppm": "0",
    "funding_interval_hours": "0",
    "funding_rate_cap_ppm": "0",
}

INTERNAL: Change = {"platform": "3", "counterparty_id": OTHER_USER, "status": "3", "journal_id": "1"}

REQUEST: Change = {"kind": "1", "role": "NULL", "fee_ppm": "NULL", "trade_id": "NULL"}

MORE_GOOD: list[tuple[str, Change]] = [
    ("users", {"kind": "2", "email": "NULL", "password_hash": "NULL"}),
    ("markets", SPOT),
    ("markets", {**SPOT, "fee_asset": "2"}),
    ("accounts", {"account_id": "1002", "user_id": "NULL", "market_id": "2"}),
    ("balances", {"asset_id": "1", "is_margin_asset": "true", "total_units": "-5"}),
    ("balances", {"account_id": "1", "total_units": "-5", "held_units": "0"}),
    ("balances", {"held_units": "3", "transfer_hold_units": "7"}),
    ("transfers", INTERNAL),
    ("activity", REQUEST),
    ("activity", {**REQUEST, "kind": "5", "reason": "330"}),
    ("transfers", {"status": "4", "reason": "'no'", "client_transfer_id": "NULL", "request_hash": "NULL"}),
    ("orders", MARKET_ORDER),
    ("orders", {**BY_AMOUNT, "status": "1", "filled_lots": "0", "filled_notional_units": "0"}),
    ("orders", {**BY_AMOUNT, "status": "7", "reason": "415", "held_units": "0", "filled_lots": "400"}),
    ("orders", STOP),
    ("orders", TRAILING),
    ("orders", {**TRAILING, "trail": "9999", "trail_in_basis_points": "true"}),
    ("orders", {"time_in_force": "4", "expire_time_ms": "9"}),
    ("orders", {"post_only": "true", "display_quantity_lots": "2"}),
    ("orders", {"amended_at_ms": "5", "amendment_reason": "400"}),
    ("orders", CANCELLED),
    ("orders", FILLED),
    ("orders", {"client_order_id": "NULL", "request_hash": "NULL"}),
    ("orders", {"client_order_id": "NULL", "ref_external_id": "'y'"}),
    ("positions", {"position_lots": "0", "cost_units": "0"}),
    ("positions", {"open_buy_lots": "0"}),
    ("amendments", {"extra_lots": "0", "extra_notional_units": "0", "held_units": "5"}),
]

# The rule, and a row that differs from the good one in just what the rule forbids.
WRONG: list[tuple[str, str, Change]] = [
    ("users_pkey", "users", {"user_id": "1"}),
    ("users_user_id_range", "users", {"user_id": "0"}),
    ("users_kind_known", "users", {"kind": "6"}),
    ("users_email_form", "users", {"email": "'A@b'"}),
    ("users_email_form", "users", {"email": "'nobody'"}),
    ("users_name_length", "users", {"name": "repeat('x', 101)"}),
    ("users_login_complete", "users", {"password_hash": "NULL"}),
    ("users_login_by_kind", "users", {"email": "NULL", "password_hash": "NULL"}),
    ("users_password_hashed", "users", {"password_hash": "'secret'"}),
    ("users_created_at_range", "users", {"created_at_ms": "-1"}),
    ("users_disabled_after_created", "users", {"disabled_at_ms": "4"}),
    ("sessions_user_id_fkey", "sessions", {"user_id": "99"}),
    ("sessions_session_hash_length", "sessions", {"session_hash": "'x'"}),
    ("sessions_created_at_range", "sessions", {"created_at_ms": "-1"}),
    ("sessions_expires_after_created", "sessions", {"expires_at_ms": "5"}),
    ("sessions_revoked_after_created", "sessions", {"revoked_at_ms": "4"}),
    ("assets_pkey", "assets", {"asset_id": "1"}),
    ("assets_name_key", "assets", {"name": "'USDC'"}),
    ("assets_asset_id_range", "assets", {"asset_id": "0"}),
    ("assets_name_form", "assets", {"name": "'usdc'"}),
    ("assets_decimals_range", "assets", {"decimals": "19"}),
    ("markets_pkey", "markets", {"market_id": "1"}),
    ("markets_symbol_key", "markets", {"symbol": "'BTC-1'"}),
    ("markets_base_asset_id_fkey", "markets", {"base_asset_id": "99"}),
    ("markets_quote_asset_id_fkey", "markets", {"quote_asset_id": "99"}),
    ("markets_market_id_range", "markets", {"market_id": "0"}),
    ("markets_market_id_range", "markets", {"market_id": "999000"}),
    ("markets_symbol_form", "markets", {"symbol": "'A B'"}),
    ("markets_kind_known", "markets", {**SPOT, "kind": "4"}),
    ("markets_two_assets", "markets", {"base_asset_id": "1"}),
    ("markets_status_known", "markets", {"status": "7"}),
    ("markets_decimals_range", "markets", {"tick_decimals": "19"}),
    ("markets_decimals_range", "markets", {"lot_decimals": "-1"}),
    ("markets_steps_positive", "markets", {"tick_size": "0"}),
    ("markets_steps_positive", "markets", {"lot_size": "0"}),
    ("markets_min_quantity_range", "markets", {"min_quantity_lots": "0"}),
    ("markets_min_notional_range", "markets", {"min_notional_units": "-1"}),
    ("markets_fee_rates_range", "markets", {"maker_fee_ppm": "-501"}),
    ("markets_fee_rates_range", "markets", {"maker_fee_ppm": "501"}),
    ("markets_fee_rates_range", "markets", {"taker_fee_ppm": "1000001"}),
    ("markets_swaps_without_fees", "markets", {**SPOT, "kind": "3"}),
    ("markets_fee_asset_known", "markets", {"fee_asset": "2"}),
    ("markets_max_leverage_range", "markets", {"max_leverage": "0"}),
    ("markets_margin_rates_range", "markets", {"maintenance_margin_ppm": "50001"}),
    ("markets_margin_rates_range", "markets", {"maintenance_margin_ppm": "0"}),
    ("markets_margin_rates_range", "markets", {"initial_margin_ppm": "1000001"}),
    ("markets_liquidation_fee_range", "markets", {"liquidation_fee_ppm": "15001"}),
    ("markets_funding_range", "markets", {"funding_interval_hours": "5"}),
    ("markets_funding_range", "markets", {"funding_rate_cap_ppm": "-1"}),
    ("markets_funding_range", "markets", {**SPOT, "funding_interval_hours": "8"}),
    ("markets_margin_for_perpetuals_only", "markets", {**SPOT, "max_leverage": "2"}),
    ("markets_created_at_range", "markets", {"created_at_ms": "-1"}),
    ("margin_tiers_market_id_fkey", "margin_tiers", {"market_id": "99"}),
    ("margin_tiers_floor_range", "margin_tiers", {"floor_units": "-1"}),
    ("margin_tiers_rates_range", "margin_tiers", {"initial_margin_ppm": "0"}),
    ("accounts_pkey", "accounts", {"account_id": USER}),
    ("accounts_user_id_fkey", "accounts", {"user_id": "99"}),
    ("accounts_market_id_fkey", "accounts", {"account_id": "1099", "user_id": "NULL", "market_id": "99"}),
    ("accounts_account_id_range", "accounts", {"account_id": "5", "user_id": "NULL"}),
    ("accounts_owner_by_kind", "accounts", {"user_id": "NULL"}),
    ("accounts_clearing_by_market", "accounts", {"market_id": "1"}),
    ("accounts_clearing_by_market", "accounts", {"account_id": "1002", "user_id": "NULL", "market_id": "1"}),
    ("accounts_clearing_by_market", "accounts", {"account_id": "1002", "user_id": "NULL"}),
    ("accounts_created_at_range", "accounts", {"created_at_ms": "-1"}),
    ("requests_account_id_fkey", "requests", {"account_id": "99"}),
    ("requests_operation_range", "requests", {"operation": "0"}),
    ("requests_client_id_length", "requests", {"client_id": "''"}),
    ("requests_request_hash_length", "requests", {"request_hash": "'x'"}),
    ("requests_created_at_range", "requests", {"created_at_ms": "-1"}),
    ("journals_journal_id_range", "journals", {"journal_id": "0"}),
    ("journals_kind_range", "journals", {"kind": "0"}),
    ("journals_event_complete", "journals", {"sequence": "NULL"}),
    ("journals_event_range", "journals", {"sequence": "0"}),
    ("journals_created_at_range", "journals", {"created_at_ms": "-1"}),
    ("balances_account_id_fkey", "balances", {"account_id": "1000099"}),
    ("balances_asset_fkey", "balances", {"asset_id": "99"}),
    ("balances_asset_fkey", "balances", {"is_margin_asset": "true"}),
    ("balances_held_not_negative", "balances", {"held_units": "-1"}),
    ("balances_held_by_users_only", "balances", {"account_id": "1"}),
    ("balances_total_covers_held", "balances", {"held_units": "11"}),
    ("balances_total_covers_held", "balances", {"total_units": "-1", "held_units": "0"}),
    ("balances_total_covers_held", "balances", {"held_units": "4", "transfer_hold_units": "7"}),
    ("balances_transfer_hold_not_negative", "balances", {"transfer_hold_units": "-1"}),
    (
        "balances_transfer_hold_by_users_only",
        "balances",
        {"account_id": "1", "held_units": "0", "transfer_hold_units": "1"},
    ),
    (
        "balances_fees_and_insurance_not_negative",
        "balances",
        {"account_id": "2", "total_units": "-1", "held_units": "0"},
    ),
    (
        "balances_fees_and_insurance_not_negative",
        "balances",
        {"account_id": "3", "total_units": "-1", "held_units": "0"},
    ),
    ("positions_account_id_fkey", "positions", {"account_id": "1000099"}),
    ("positions_market_id_fkey", "positions", {"market_id": "99"}),
    ("positions_cost_has_sign_of_position", "positions", {"cost_units": "300"}),
    ("positions_cost_has_sign_of_position", "positions", {"position_lots": "0"}),
    ("positions_open_not_negative", "positions", {"open_buy_lots": "-1", "open_buy_notional_units": "0"}),
    ("positions_open_buys_agree", "positions", {"open_buy_notional_units": "0"}),
    ("positions_open_sells_agree", "positions", {"open_sell_notional_units": "1"}),
    ("positions_fee_reserve_range", "positions", {"fee_reserve_units": "-1"}),
    (
        "positions_fee_reserve_range",
        "positions",
        {
            "open_buy_lots": "0",
            "open_buy_notional_units": "0",
            "open_sell_lots": "0",
            "open_sell_notional_units": "0",
        },
    ),
    ("positions_leverage_range", "positions", {"leverage": "0"}),
    ("amendments_pkey", "amendments", {"market_id": "2"}),
    ("amendments_market_id_fkey", "amendments", {"market_id": "99"}),
    ("amendments_sequence_range", "amendments", {"sequence": "0"}),
    ("amendments_side_known", "amendments", {"side": "3"}),
    ("amendments_quantity_range", "amendments", {"quantity_lots": "-1"}),
    ("amendments_price_range", "amendments", {"price_ticks": "1099511627776"}),
    ("amendments_extra_range", "amendments", {"extra_lots": "-1"}),
    ("amendments_extra_range", "amendments", {"extra_notional_units": "9"}),
    ("amendments_extra_range", "amendments", {"extra_fee_reserve_units": "-1"}),
    ("amendments_held_range", "amendments", {"held_units": "-1", "extra_lots": "0", "extra_notional_units": "0"}),
    ("amendments_reserve_or_hold", "amendments", {"held_units": "1"}),
    ("orders_asked_time_in_force_known", "orders", {"asked_time_in_force": "6"}),
    ("orders_amendment_whole", "orders", {"amended_at_ms": "5"}),
    ("orders_amendment_whole", "orders", {"amendment_reason": "0"}),
    ("orders_amendment_whole", "orders", {"amended_at_ms": "-1", "amendment_reason": "0"}),
    ("orders_amendment_whole", "orders", {"amended_at_ms": "5", "amendment_reason": "-1"}),
    ("orders_external_id_length", "orders", {"external_id": "''"}),
    ("orders_ref_external_id_length", "orders", {"ref_external_id": "repeat('x', 129)"}),
    ("orders_fee_rates_range", "orders", {"maker_fee_ppm": "501"}),
    ("orders_fee_rates_range", "orders", {"taker_fee_ppm": "1000001"}),
    ("orders_fee_rates_range", "orders", {"maker_fee_ppm": "-1000001"}),
    ("market_sequences_market_id_fkey", "market_sequences", {"market_id": "99"}),
    ("market_sequences_start_at_zero", "market_sequences", {"last_accepted_sequence": "5"}),
    ("market_settlements_market_id_fkey", "market_settlements", {"market_id": "99"}),
    ("market_settlements_start_at_zero", "market_settlements", {"last_settled_sequence": "5"}),
    ("orders_order_id_range", "orders", {"order_id": "-1"}),
    ("orders_sequence_range", "orders", {"sequence": "0"}),
    ("orders_client_order_id_length", "orders", {"client_order_id": "''"}),
    ("orders_request_hash_with_client_id", "orders", {"request_hash": "NULL"}),
    ("orders_request_hash_length", "orders", {"request_hash": "'x'"}),
    ("orders_side_known", "orders", {"side": "3"}),
    ("orders_type_known", "orders", {"type": "8", "trigger_price_ticks": "1"}),
    ("orders_time_in_force_known", "orders", {"time_in_force": "6"}),
    ("orders_self_trade_prevention_known", "orders", {"self_trade_prevention": "0"}),
    ("orders_trigger_source_known", "orders", {"trigger_source": "4"}),
    ("orders_leverage_range", "orders", {"leverage": "0"}),
    ("orders_quantity_or_budget", "orders", {"quantity_lots": "1099511627776"}),
    ("orders_quantity_or_budget", "orders", {**BY_AMOUNT, "quantity_lots": "1"}),
    ("orders_quantity_or_budget", "orders", {"budget": "1000", "quantity_lots": "0", "open_lots": "0"}),
    ("orders_price_by_type", "orders", {"price_ticks": "0"}),
    ("orders_price_by_type", "orders", {**MARKET_ORDER, "price_ticks": "-1"}),
    ("orders_market_is_immediate", "orders", {**MARKET_ORDER, "time_in_force": "1"}),
    ("orders_post_only_rests", "orders", {"post_only": "true", "time_in_force": "2"}),
    ("orders_post_only_rests", "orders", {**STOP, "post_only": "true"}),
    ("orders_display_range", "orders", {"display_quantity_lots": "11"}),
    ("orders_display_range", "orders", {**STOP, "display_quantity_lots": "1"}),
    ("orders_trigger_by_type", "orders", {"trigger_price_ticks": "5"}),
    ("orders_trigger_by_type", "orders", {**STOP, "trigger_price_ticks": "0"}),
    ("orders_trail_by_type", "orders", {"trail": "5"}),
    ("orders_trail_by_type", "orders", {**TRAILING, "trail": "0"}),
    ("orders_trail_by_type", "orders", {**TRAILING, "trail": "10000", "trail_in_basis_points": "true"}),
    ("orders_oco_range", "orders", {"oco_order_id": "7"}),
    ("orders_trade_group_range", "orders", {"trade_group": "-1"}),
    ("orders_expiry_by_time_in_force", "orders", {"expire_time_ms": "9"}),
    ("orders_expiry_by_time_in_force", "orders", {"time_in_force": "4"}),
    ("orders_status_known", "orders", {**CANCELLED, "status": "8"}),
    ("orders_reason_by_status", "orders", {**CANCELLED, "reason": "0"}),
    ("orders_reason_by_status", "orders", {"reason": "-1"}),
    ("orders_filled_range", "orders", {"filled_notional_units": "3"}),
    ("orders_filled_range", "orders", {**CANCELLED, "filled_lots": "0"}),
    ("orders_open_range", "orders", {"open_lots": "7"}),
    ("orders_open_by_status", "orders", {"open_lots": "0"}),
    ("orders_open_by_status", "orders", {**CANCELLED, "open_lots": "6"}),
    ("orders_open_by_status", "orders", {**BY_AMOUNT, "open_lots": "6"}),
    ("orders_filled_by_status", "orders", {"status": "2"}),
    ("orders_filled_by_status", "orders", {"filled_lots": "0", "filled_notional_units": "0"}),
    ("orders_filled_by_status", "orders", {**CANCELLED, "status": "6"}),
    ("orders_held_not_negative", "orders", {"held_units": "-1"}),
    ("orders_ended_hold_nothing", "orders", {**CANCELLED, "held_units": "1"}),
    ("orders_times_in_order", "orders", {"updated_at_ms": "4"}),
    ("commands_sequence_range", "commands", {"sequence": "0"}),
    ("commands_pkey", "commands", {"market_id": "2"}),
    ("commands_version_range", "commands", {"market_id": "2", "sequence": "3", "version": "0"}),
    ("commands_record_whole", "commands", {"market_id": "2", "sequence": "3", "record": "'x'"}),
    ("commands_record_whole", "commands", {"market_id": "2", "sequence": "3", "record": "''"}),
    ("commands_accepted_at_range", "commands", {"market_id": "2", "sequence": "3", "accepted_at_ms": "-1"}),
    ("commands_counted", "commands", {"market_id": "2", "sequence": "3"}),
    ("commands_counted", "commands", {"market_id": "99"}),
    ("fills_trade_id_range", "fills", {"trade_id": "0"}),
    ("fills_side_known", "fills", {"side": "3"}),
    ("fills_role_known", "fills", {"role": "3"}),
    ("fills_price_range", "fills", {"price_ticks": "0"}),
    ("fills_quantity_range", "fills", {"quantity_lots": "0"}),
    ("fills_notional_range", "fills", {"notional_units": "3"}),
    ("fills_fee_agrees", "fills", {"fee_units": "1"}),
    ("fills_fee_agrees", "fills", {"fee_ppm": "-1000001"}),
    ("fills_event_range", "fills", {"event_index": "-1"}),
    ("fills_created_at_range", "fills", {"created_at_ms": "-1"}),
    ("snapshots_market_id_fkey", "snapshots", {"market_id": "99"}),
    ("snapshots_sequence_range", "snapshots", {"sequence": "-1"}),
    ("snapshots_data_not_empty", "snapshots", {"data": "''"}),
    ("snapshots_created_at_range", "snapshots", {"created_at_ms": "-1"}),
    ("activity_activity_id_range", "activity", {"activity_id": "0"}),
    ("activity_kind_known", "activity", {**REQUEST, "kind": "9"}),
    ("activity_side_known", "activity", {"side": "3"}),
    ("activity_terms_range", "activity", {"price_ticks": "-1"}),
    ("activity_trade_complete", "activity", {"role": "NULL"}),
    ("activity_trade_complete", "activity", {**REQUEST, "trade_id": "7"}),
    ("activity_role_known", "activity", {"role": "3"}),
    ("activity_reason_by_kind", "activity", {"reason": "330"}),
    ("activity_reason_by_kind", "activity", {**REQUEST, "kind": "7"}),
    ("activity_sequence_range", "activity", {"sequence": "0"}),
    ("activity_recorded_at_range", "activity", {"recorded_at_ns": "-1"}),
    ("market_prices_market_id_fkey", "market_prices", {"market_id": "99"}),
    ("market_prices_range", "market_prices", {"mark_price_ticks": "-1"}),
    ("market_prices_range", "market_prices", {"index_price_ticks": "1099511627776"}),
    ("market_prices_sequence_range", "market_prices", {"sequence": "0"}),
    ("market_prices_updated_at_range", "market_prices", {"updated_at_ms": "-1"}),
    ("fundings_market_id_fkey", "fundings", {"market_id": "99"}),
    ("fundings_period_range", "fundings", {"period_start_ms": "-1"}),
    ("fundings_rate_range", "fundings", {"rate_ppb": "1000000001"}),
    ("fundings_index_range", "fundings", {"index_price_ticks": "0"}),
    ("fundings_amounts_agree", "fundings", {"dust_units": "2"}),
    ("fundings_amounts_agree", "fundings", {"received_units": "9", "dust_units": "-1"}),
    ("fundings_event_range", "fundings", {"event_index": "-1"}),
    ("fundings_created_at_range", "fundings", {"created_at_ms": "-1"}),
    ("funding_payments_position_not_flat", "funding_payments", {"position_lots": "0"}),
    ("position_closings_position_not_flat", "position_closings", {"position_lots": "0"}),
    ("position_closings_price_range", "position_closings", {"price_ticks": "0"}),
    ("position_closings_event_range", "position_closings", {"sequence": "0"}),
    ("position_closings_created_at_range", "position_closings", {"created_at_ms": "-1"}),
    ("market_pricing_market_id_fkey", "market_pricing", {"market_id": "99"}),
    ("market_pricing_state_known", "market_pricing", {"state": "7", "halted_from": "NULL"}),
    ("market_pricing_halted_from_known", "market_pricing", {"halted_from": "5"}),
    ("market_pricing_halted_from_known", "market_pricing", {"state": "1"}),
    ("market_pricing_averages_range", "market_pricing", {"basis_denominator": "-1"}),
    ("market_pricing_ordered_sequence_range", "market_pricing", {"ordered_sequence": "-1"}),
    ("market_pricing_looked_at_range", "market_pricing", {"looked_at_ms": "-1"}),
    ("index_quotes_market_id_fkey", "index_quotes", {"market_id": "99"}),
    ("index_quotes_user_id_fkey", "index_quotes", {"user_id": "99"}),
    ("index_quotes_source_form", "index_quotes", {"source": "'Desk'"}),
    ("index_quotes_price_range", "index_quotes", {"price_micro_ticks": "0"}),
    ("index_quotes_quoted_at_range", "index_quotes", {"quoted_at_ms": "-1"}),
    ("funding_periods_market_id_fkey", "funding_periods", {"market_id": "99"}),
    ("funding_periods_times_in_order", "funding_periods", {"looked_at_ms": "-1"}),
    ("funding_periods_samples_range", "funding_periods", {"samples": "0"}),
    ("funding_periods_index_range", "funding_periods", {"index_price_ticks": "-1"}),
    ("funding_periods_applied_whole", "funding_periods", {"sequence": "NULL"}),
    ("funding_periods_rate_range", "funding_periods", {"rate_ppb": "-1000000001"}),
    ("admin_log_user_id_fkey", "admin_log", {"user_id": "99"}),
    ("admin_log_market_id_fkey", "admin_log", {"market_id": "99"}),
    ("admin_log_action_form", "admin_log", {"action": "'Market'"}),
    ("admin_log_reason_length", "admin_log", {"reason": "''"}),
    ("admin_log_created_at_range", "admin_log", {"created_at_ms": "-1"}),
    ("transfers_account_id_fkey", "transfers", {"account_id": "1000099"}),
    ("transfers_counterparty_id_fkey", "transfers", {**INTERNAL, "counterparty_id": "1000099"}),
    ("transfers_asset_id_fkey", "transfers", {"asset_id": "99"}),
    ("transfers_transfer_id_range", "transfers", {"transfer_id": "0"}),
    ("transfers_by_users_only", "transfers", {"account_id": "1"}),
    ("transfers_by_users_only", "transfers", {**INTERNAL, "counterparty_id": "1"}),
    ("transfers_two_accounts", "transfers", {**INTERNAL, "counterparty_id": USER}),
    ("transfers_type_known", "transfers", {"type": "3"}),
    ("transfers_platform_known", "transfers", {"platform": "4"}),
    ("transfers_counterparty_by_platform", "transfers", {"counterparty_id": OTHER_USER}),
    ("transfers_counterparty_by_platform", "transfers", {**INTERNAL, "counterparty_id": "NULL"}),
    ("transfers_amount_positive", "transfers", {"amount_units": "0"}),
    ("transfers_instructions_length", "transfers", {"instructions": "repeat('x', 4097)"}),
    ("transfers_client_transfer_id_length", "transfers", {"client_transfer_id": "''"}),
    ("transfers_request_hash_with_client_id", "transfers", {"request_hash": "NULL"}),
    ("transfers_request_hash_length", "transfers", {"request_hash": "'x'"}),
    ("transfers_status_known", "transfers", {"status": "6"}),
    ("transfers_internal_is_completed", "transfers", {**INTERNAL, "status": "1", "journal_id": "NULL"}),
    ("transfers_reason_length", "transfers", {"reason": "repeat('x', 201)"}),
    ("transfers_completed_moved", "transfers", {"status": "3"}),
    ("transfers_completed_moved", "transfers", {"journal_id": "1"}),
    ("transfers_times_in_order", "transfers", {"updated_at_ms": "4"}),
    ("simulated_custody_news_known", "simulated_custody", {"news": "1"}),
    ("simulated_custody_due_at_range", "simulated_custody", {"due_at_ms": "-1"}),
    ("leases_market_id_fkey", "leases", {"market_id": "99"}),
    ("leases_role_form", "leases", {"role": "'A b'"}),
    ("leases_holder_length", "leases", {"holder": "''"}),
    ("leases_fencing_token_range", "leases", {"fencing_token": "0"}),
    ("leases_expires_at_range", "leases", {"expires_at_ms": "-1"}),
]


def insert(table: str, change: Change | None = None) -> str:
    row = {**GOOD[table], **(change or {})}
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(row.values())});"


# The same row twice, for the rules that only a second row can break.
TWICE: list[tuple[str, str, Change]] = [
    ("users_email_key", "users", {"user_id": "8"}),
    ("sessions_pkey", "sessions", {}),
    ("margin_tiers_pkey", "margin_tiers", {}),
    ("requests_pkey", "requests", {}),
    ("journals_pkey", "journals", {"market_id": "NULL", "sequence": "NULL", "event_index": "NULL"}),
    ("journals_once_by_event", "journals", {"journal_id": "8"}),
    ("balances_pkey", "balances", {}),
    ("positions_pkey", "positions", {}),
    ("market_sequences_pkey", "market_sequences", {}),
    ("market_settlements_pkey", "market_settlements", {}),
    ("orders_pkey", "orders", {"client_order_id": "'y'", "external_id": "'y'"}),
    ("orders_one_by_client_id", "orders", {"order_id": "8", "external_id": "'y'"}),
    ("orders_one_live_by_external_id", "orders", {"order_id": "8", "client_order_id": "'y'"}),
    ("fills_pkey", "fills", {}),
    ("snapshots_pkey", "snapshots", {}),
    ("leases_pkey", "leases", {}),
    ("activity_pkey", "activity", {}),
    ("market_prices_pkey", "market_prices", {}),
    ("fundings_pkey", "fundings", {"rate_ppb": "5", "sequence": "2"}),
    ("funding_payments_pkey", "funding_payments", {"amount_units": "8"}),
    ("position_closings_pkey", "position_closings", {"price_ticks": "91"}),
    ("market_pricing_pkey", "market_pricing", {}),
    ("index_quotes_pkey", "index_quotes", {"price_micro_ticks": "6"}),
    ("funding_periods_pkey", "funding_periods", {"samples": "2"}),
    ("admin_log_pkey", "admin_log", {"reason": "'y'"}),
    ("transfers_pkey", "transfers", {"client_transfer_id": "'y'"}),
    ("transfers_one_by_client_id", "transfers", {"transfer_id": "8"}),
    ("simulated_custody_pkey", "simulated_custody", {}),
]

POSTINGS = "INSERT INTO postings (journal_id, line, account_id, asset_id, kind, amount_units) VALUES "
STATEMENTS: list[tuple[str, str]] = [
    ("postings_pkey", POSTINGS + "(1, 0, 1, 1, 1, 5), (1, 0, 2, 1, 1, -5)"),
    ("postings_line_range", POSTINGS + "(1, -1, 1, 1, 1, 5), (1, 0, 2, 1, 1, -5)"),
    ("postings_kind_range", POSTINGS + "(1, 0, 1, 1, 0, 5), (1, 1, 2, 1, 1, -5)"),
    ("postings_amount_not_zero", POSTINGS + "(1, 0, 1, 1, 1, 0)"),
    ("postings_sum_to_zero", POSTINGS + "(1, 0, 1, 1, 1, 5), (1, 1, 2, 1, 1, -4)"),
    ("postings_sum_to_zero", POSTINGS + "(1, 0, 1, 1, 1, 5), (1, 1, 2, 2, 1, -5)"),
    ("postings_sum_to_zero", POSTINGS + "(1, 0, 1, 1, 1, 5), (2, 0, 2, 1, 1, -5)"),
    ("postings_append_only", "UPDATE postings SET amount_units = 1"),
    ("journals_append_only", "DELETE FROM journals"),
    ("fills_append_only", "TRUNCATE fills"),
    ("fundings_append_only", "DELETE FROM fundings"),
    ("funding_payments_append_only", "UPDATE funding_payments SET amount_units = 0"),
    ("position_closings_append_only", "DELETE FROM position_closings"),
    ("admin_log_append_only", "UPDATE admin_log SET reason = 'z'"),
    ("commands_append_only", "DELETE FROM commands"),
    ("market_sequences_not_negative", "UPDATE market_sequences SET last_accepted_sequence = -1 WHERE market_id = 1"),
    ("market_sequences_without_gap", "UPDATE market_sequences SET last_accepted_sequence = 3 WHERE market_id = 2"),
    ("market_sequences_without_gap", "UPDATE market_sequences SET last_accepted_sequence = 1 WHERE market_id = 2"),
    ("market_settlements_in_order", "UPDATE market_settlements SET last_settled_sequence = 3 WHERE market_id = 2"),
    (
        "market_settlements_in_order",
        "UPDATE market_settlements SET last_settled_sequence = 2 WHERE market_id = 2;"
        "UPDATE market_settlements SET last_settled_sequence = 1 WHERE market_id = 2",
    ),
    ("leases_token_rises", insert("leases", {"fencing_token": "2"}) + "UPDATE leases SET fencing_token = 1"),
    ("leases_token_rises", insert("leases") + "UPDATE leases SET holder = 'y'"),
    ("balances_total_covers_held", insert("balances") + "UPDATE balances SET total_units = 9"),
    (
        "transfers_one_by_journal",
        insert("transfers", INTERNAL)
        + insert("transfers", {**INTERNAL, "transfer_id": "8", "client_transfer_id": "'y'"}),
    ),
]
"""Rules about changes, and about several rows."""

ELSEWHERE = {
    "schema_migrations_pkey",
    # The parent's side of a foreign key: account for what balances refers to.
    "assets_asset_id_is_margin_asset_key",
    # Unique by construction: made by the database, never given.
    "fills_by_account",
    "funding_payments_newest",
    # Not a rule: makes the counters of a new market.
    "markets_start_counters",
    # A counter is born at 0 and never falls, so this can not be reached; it says so in the catalogue.
    "market_settlements_not_negative",
}

WRONG_STATES = [
    *(
        (rule, insert(table, change))
        for rule, table, change in [*WRONG, *schema_keys.WRONG, *schema_swaps.WRONG, *schema_risk.WRONG]
    ),
    *(
        (rule, insert(table) + insert(table, change))
        for rule, table, change in [*TWICE, *schema_keys.TWICE, *schema_swaps.TWICE, *schema_risk.TWICE]
    ),
    *STATEMENTS,
    *schema_risk.STATEMENTS,
]


@pytest.fixture(scope="module")
def world_url(module_url: str) -> str:
    async def scenario(database: Database) -> None:
        async with database.transaction() as transaction:
            await transaction.execute(WORLD + schema_swaps.WORLD + schema_risk.WORLD)

    using(module_url, scenario)
    return module_url


async def attempt(transaction: Transaction, statements: str) -> str | None:
    """The name of the rule that refuses `statements`, or None; nothing of them stays."""
    try:
        async with transaction.savepoint():
            await transaction.execute(f"{statements}; SET CONSTRAINTS ALL IMMEDIATE")
            raise _Undo
    except ConstraintViolated as error:
        return error.constraint
    except _Undo:
        return None


class _Undo(Exception):
    """Ends a savepoint whose statements were all accepted."""


def refusals(url: str, statements: list[str]) -> list[str | None]:
    async def scenario(database: Database) -> list[str | None]:
        async with database.transaction() as transaction:
            return [await attempt(transaction, statement) for statement in statements]

    return using(url, scenario)


def test_every_wrong_state_is_refused_by_the_rule_that_names_it(world_url: str) -> None:
    refused = refusals(world_url, [statement for _, statement in WRONG_STATES])
    tried = zip(WRONG_STATES, refused, strict=True)
    assert [(rule, found, statement) for (rule, statement), found in tried if found != rule] == []


def test_the_rows_that_the_wrong_ones_differ_from_are_accepted(world_url: str) -> None:
    # A command needs its counter; the log has tests of its own.
    statements = [insert(table) for table in GOOD if table != "commands"]
    statements += [
        insert(table, change) for table, change in (*MORE_GOOD, *schema_swaps.MORE_GOOD, *schema_risk.MORE_GOOD)
    ]
    statements.append(POSTINGS + "(1, 0, 1, 1, 1, 5), (1, 1, 2, 1, 1, -5), (1, 2, 1, 2, 1, 9), (1, 3, 2, 2, 1, -9)")
    assert [
        (rule, statement) for rule, statement in zip(refusals(world_url, statements), statements, strict=True) if rule
    ] == []


RULES = """
SELECT conname AS name FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'u', 'p', 'f')
UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal
UNION SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indisunique AND relnamespace = 'public'::regnamespace
"""


def names(url: str, query: str) -> set[str]:
    async def scenario(database: Database) -> set[str]:
        async with database.transaction() as transaction:
            return {row[0] for row in await transaction.rows(query)}

    return using(url, scenario)


@pytest.mark.parametrize("place", ["tables", "columns", "functions"])
def test_everything_is_explained(module_url: str, place: str) -> None:
    unexplained = {
        "tables": "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "AND relkind = 'r' AND obj_description(oid, 'pg_class') IS NULL",
        "columns": "SELECT attrelid::regclass || '.' || attname "
        "FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid "
        "WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 "
        "AND col_description(attrelid, attnum) IS NULL",
        "functions": "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace "
        "AND obj_description(oid, 'pg_proc') IS NULL",
    }
    assert names(module_url, unexplained[place]) == set()


def test_every_rule_of_the_schema_is_tried(module_url: str) -> None:
    tried = {rule for rule, _ in WRONG_STATES}
    assert names(module_url, RULES) == tried | ELSEWHERE


def test_kinds_of_accounts_follow_from_their_ids(database_url: str) -> None:
    async def scenario(database: Database) -> dict[int, int]:
        async with database.transaction() as transaction:
            await transaction.execute(WORLD)
            await transaction.execute(insert("accounts", {"account_id": "1002", "user_id": "NULL", "market_id": "2"}))
            return {row[0]: row[1] for row in await transaction.rows("SELECT account_id, kind FROM accounts")}

    from crossbook.domain.accounts import kind_of

    kinds = using(database_url, scenario)
    assert kinds == {account_id: kind_of(account_id) for account_id in (1, 2, 3, 4, 1002, 1_000_000, 1_000_001)}


def test_an_asset_that_becomes_a_margin_asset_takes_its_balances_along(database_url: str) -> None:
    async def scenario(database: Database) -> bool:
        async with database.transaction() as transaction:
            await transaction.execute(WORLD + insert("balances"))
            await transaction.execute("UPDATE assets SET is_margin_asset = true WHERE asset_id = 2")
            return bool(await transaction.value("SELECT is_margin_asset FROM balances"))

    assert using(database_url, scenario)


def test_a_status_change_of_a_live_order_touches_no_index(database_url: str) -> None:
    async def scenario(database: Database) -> int:
        async with database.transaction() as transaction:
            await transaction.execute(
                insert("orders", {"status": "2", "filled_lots": "0", "filled_notional_units": "0"})
            )
            await transaction.execute(
                "UPDATE orders SET status = 3, filled_lots = 1, filled_notional_units = 100, open_lots = 9"
            )
            return int(await transaction.value("SELECT pg_stat_get_xact_tuples_hot_updated('orders'::regclass)"))

    assert using(database_url, scenario) == 1


def test_accepting_and_settling_a_market_do_not_wait_for_each_other(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        async with database.transaction() as transaction:
            await transaction.execute(WORLD)
        async with asyncio.timeout(30), database.transaction() as settler, database.transaction() as acceptor:
            await settler.execute("UPDATE market_settlements SET last_settled_sequence = 2 WHERE market_id = 2")
            await acceptor.execute("UPDATE market_sequences SET last_accepted_sequence = 3 WHERE market_id = 2")
            await acceptor.execute(insert("commands", {"market_id": "2", "sequence": "3"}))

    using(database_url, scenario)
