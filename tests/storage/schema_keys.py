"""Good and wrong rows of the tables of clients, keys and limits, for `test_schema`."""

Change = dict[str, str]
DIGEST = "decode(repeat('00', 32), 'hex')"
KEY_ID = "'6398805c-f369-40f6-ac07-94ce683056e4'"

GOOD: dict[str, Change] = {
    "fee_tiers": {"tier": "1", "maker_fee_ppm": "-100", "taker_fee_ppm": "500"},
    "clients": {"account_id": "1000000", "mnemonic": "'ALICE'", "created_at_ms": "0"},
    "api_keys": {
        "key_id": KEY_ID,
        "user_id": "1",
        "sealed_secret": "repeat('x', 60)",
        "scopes": "'{read,trade}'",
        "created_at_ms": "5",
    },
    "market_limits": {
        "market_id": "1",
        "reference_price_ticks": "65000",
        "band_basis_points": "1000",
        "halt_basis_points": "500",
        "halt_window_ms": "300000",
    },
    "used_signatures": {"signature": DIGEST, "expires_at_ms": "1"},
}

WRONG: list[tuple[str, str, Change]] = [
    ("fee_tiers_tier_range", "fee_tiers", {"tier": "0"}),
    ("fee_tiers_rates_range", "fee_tiers", {"maker_fee_ppm": "-501"}),
    ("fee_tiers_rates_range", "fee_tiers", {"maker_fee_ppm": "501"}),
    ("fee_tiers_rates_range", "fee_tiers", {"taker_fee_ppm": "1000001"}),
    ("clients_account_id_fkey", "clients", {"account_id": "1000009"}),
    ("clients_of_users_only", "clients", {"account_id": "2"}),
    ("clients_mnemonic_form", "clients", {"mnemonic": "'A B'"}),
    ("clients_mnemonic_form", "clients", {"mnemonic": "''"}),
    ("clients_status_known", "clients", {"status": "5"}),
    ("clients_type_known", "clients", {"type": "0"}),
    ("clients_fee_tiers_range", "clients", {"maker_fee_tier": "-1"}),
    ("clients_fee_tiers_range", "clients", {"taker_fee_tier": "-1"}),
    ("clients_self_trade_prevention_known", "clients", {"self_trade_prevention": "3"}),
    ("clients_created_at_range", "clients", {"created_at_ms": "-1"}),
    ("api_keys_user_id_fkey", "api_keys", {"user_id": "99"}),
    ("api_keys_name_length", "api_keys", {"name": "repeat('x', 101)"}),
    ("api_keys_sealed_secret_length", "api_keys", {"sealed_secret": "'secret'"}),
    ("api_keys_scopes_known", "api_keys", {"scopes": "'{}'"}),
    ("api_keys_scopes_known", "api_keys", {"scopes": "'{read,admin}'"}),
    ("api_keys_networks_count", "api_keys", {"networks": "array_fill('::1'::text, ARRAY[65])"}),
    ("api_keys_created_at_range", "api_keys", {"created_at_ms": "-1"}),
    ("api_keys_expires_after_created", "api_keys", {"expires_at_ms": "5"}),
    ("api_keys_revoked_after_created", "api_keys", {"revoked_at_ms": "4"}),
    ("market_limits_market_id_fkey", "market_limits", {"market_id": "99"}),
    ("market_limits_reference_price_range", "market_limits", {"reference_price_ticks": "0"}),
    ("market_limits_band_range", "market_limits", {"band_basis_points": "10001"}),
    ("market_limits_halt_complete", "market_limits", {"halt_window_ms": "0"}),
    ("market_limits_halt_complete", "market_limits", {"halt_basis_points": "0"}),
    ("market_limits_times_range", "market_limits", {"halt_ms": "-1"}),
    ("market_limits_times_range", "market_limits", {"auction_ms": "86400001"}),
    ("market_limits_phase_known", "market_limits", {"phase": "5"}),
    ("used_signatures_length", "used_signatures", {"signature": "'x'"}),
]

TWICE: list[tuple[str, str, Change]] = [
    ("fee_tiers_pkey", "fee_tiers", {}),
    ("clients_pkey", "clients", {"mnemonic": "'BOB'"}),
    ("clients_mnemonic_key", "clients", {"account_id": "1000001"}),
    ("api_keys_pkey", "api_keys", {}),
    ("market_limits_pkey", "market_limits", {}),
    ("used_signatures_pkey", "used_signatures", {}),
]
