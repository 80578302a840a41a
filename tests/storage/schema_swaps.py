"""The part of the schema that peer-to-peer swaps have: good rows, the rows they stand on, and every wrong state."""

Change = dict[str, str]

HASH = "decode(repeat('00', 32), 'hex')"
ASSET = "repeat('{}', 64)"
TOO_MUCH = "18446744073709551616"

GOOD: dict[str, Change] = {
    "wallets": {"user_id": "23", "address": "'iTHN3'", "alias": "'Carol'", "created_at_ms": "5", "updated_at_ms": "5"},
    "wallet_logins": {"login_hash": HASH, "used_at_ms": "0"},
    "swap_currencies": {
        "currency_id": "7",
        "asset_id": ASSET.format("c"),
        "name": "'Gamma'",
        "code": "'GAM'",
        "decimals": "18",
        "native": "true",
        "current_supply_units": "18446744073709551615",
        "created_at_ms": "5",
        "updated_at_ms": "5",
    },
    "swap_pairs": {
        "pair_id": "7",
        "first_currency_id": "902",
        "second_currency_id": "901",
        "created_at_ms": "5",
        "updated_at_ms": "5",
    },
    "swap_offers": {
        "offer_id": "7",
        "user_id": "21",
        "pair_id": "901",
        "side": "1",
        "price_units": "18446744073709551615",
        "amount_units": "10",
        "total_units": "18446744073709551615",
        "left_units": "9",
        "pending_units": "9",
        "created_at_ms": "5",
        "updated_at_ms": "5",
    },
    "swaps": {
        "swap_id": "7",
        "pair_id": "901",
        "buy_offer_id": "901",
        "sell_offer_id": "902",
        "buyer_id": "21",
        "seller_id": "22",
        "creator": "1",
        "price_units": "1",
        "amount_units": "1",
        "total_units": "1",
        "proposal": "'ab'",
        "created_at_ms": "5",
        "updated_at_ms": "5",
    },
    "swap_candles": {
        "pair_id": "901",
        "period_ms": "60000",
        "start_ms": "0",
        "open_units": "2",
        "high_units": "4",
        "low_units": "1",
        "close_units": "3",
        "first_volume_units": "5",
        "second_volume_units": "6",
    },
}

WORLD = f"""
INSERT INTO users (user_id, kind, created_at_ms) VALUES (21, 5, 0), (22, 5, 0), (23, 5, 0);
INSERT INTO wallets (user_id, address, alias, created_at_ms, updated_at_ms)
VALUES (21, 'iTHN1', 'Alice', 0, 0), (22, 'iTHN2', NULL, 0, 0);
INSERT INTO swap_currencies (currency_id, asset_id, name, code, decimals, created_at_ms, updated_at_ms)
VALUES (901, {ASSET.format("a")}, 'Alpha', 'ALP', 2, 0, 0), (902, {ASSET.format("b")}, 'Beta', 'BET', 3, 0, 0);
INSERT INTO swap_pairs (pair_id, first_currency_id, second_currency_id, created_at_ms, updated_at_ms)
VALUES (901, 901, 902, 0, 0);
INSERT INTO swap_offers (offer_id, user_id, pair_id, side, price_units, amount_units, total_units, left_units,
    created_at_ms, updated_at_ms)
VALUES (901, 21, 901, 1, 1, 1, 1, 1, 0, 0), (902, 22, 901, 2, 1, 1, 1, 1, 0, 0);
"""

MORE_GOOD: list[tuple[str, Change]] = [
    ("users", {"kind": "5", "email": "NULL", "password_hash": "NULL"}),
    ("wallets", {"alias": "NULL"}),
    ("swap_offers", {"status": "2", "left_units": "0", "pending_units": "0"}),
    ("swap_offers", {"status": "3", "pending_units": "0"}),
    ("swaps", {"status": "3", "proposal": "''"}),
]

WRONG: list[tuple[str, str, Change]] = [
    ("wallets_user_id_fkey", "wallets", {"user_id": "99"}),
    ("wallets_address_length", "wallets", {"address": "''"}),
    ("wallets_alias_length", "wallets", {"alias": "repeat('x', 65)"}),
    ("wallets_updated_after_created", "wallets", {"updated_at_ms": "4"}),
    ("wallets_one_by_alias", "wallets", {"alias": "'aLICE'"}),
    ("wallets_address_key", "wallets", {"address": "'iTHN1'"}),
    ("wallet_logins_login_hash_length", "wallet_logins", {"login_hash": "'x'"}),
    ("wallet_logins_used_at_range", "wallet_logins", {"used_at_ms": "-1"}),
    ("swap_currencies_asset_id_form", "swap_currencies", {"asset_id": "repeat('C', 64)"}),
    ("swap_currencies_asset_id_key", "swap_currencies", {"asset_id": ASSET.format("a")}),
    ("swap_currencies_name_length", "swap_currencies", {"name": "''"}),
    ("swap_currencies_code_length", "swap_currencies", {"code": "''"}),
    ("swap_currencies_kind_known", "swap_currencies", {"kind": "'x'"}),
    ("swap_currencies_decimals_range", "swap_currencies", {"decimals": "19"}),
    ("swap_currencies_texts_length", "swap_currencies", {"logo": "repeat('x', 2049)"}),
    ("swap_currencies_supply_range", "swap_currencies", {"current_supply_units": TOO_MUCH}),
    ("swap_currencies_updated_after_created", "swap_currencies", {"updated_at_ms": "4"}),
    ("swap_pairs_first_currency_id_fkey", "swap_pairs", {"first_currency_id": "99"}),
    ("swap_pairs_second_currency_id_fkey", "swap_pairs", {"second_currency_id": "99"}),
    ("swap_pairs_currencies_key", "swap_pairs", {"first_currency_id": "901", "second_currency_id": "902"}),
    ("swap_pairs_two_currencies", "swap_pairs", {"second_currency_id": "902"}),
    ("swap_pairs_updated_after_created", "swap_pairs", {"updated_at_ms": "4"}),
    ("swap_offers_user_id_fkey", "swap_offers", {"user_id": "1"}),
    ("swap_offers_pair_id_fkey", "swap_offers", {"pair_id": "99"}),
    ("swap_offers_side_known", "swap_offers", {"side": "3"}),
    ("swap_offers_status_known", "swap_offers", {"status": "5", "pending_units": "0"}),
    ("swap_offers_price_range", "swap_offers", {"price_units": "0"}),
    ("swap_offers_amount_range", "swap_offers", {"amount_units": TOO_MUCH}),
    ("swap_offers_total_range", "swap_offers", {"total_units": "0"}),
    ("swap_offers_left_range", "swap_offers", {"left_units": "11"}),
    ("swap_offers_pending_within_left", "swap_offers", {"pending_units": "10"}),
    ("swap_offers_ended_promises_nothing", "swap_offers", {"status": "3"}),
    ("swap_offers_filled_without_left", "swap_offers", {"left_units": "0", "pending_units": "0"}),
    ("swap_offers_renewed_at_range", "swap_offers", {"renewed_at_ms": "-1"}),
    ("swap_offers_updated_after_created", "swap_offers", {"updated_at_ms": "4"}),
    ("swaps_pair_id_fkey", "swaps", {"pair_id": "99"}),
    ("swaps_buy_offer_id_fkey", "swaps", {"buy_offer_id": "99"}),
    ("swaps_sell_offer_id_fkey", "swaps", {"sell_offer_id": "99"}),
    ("swaps_buyer_id_fkey", "swaps", {"buyer_id": "99"}),
    ("swaps_seller_id_fkey", "swaps", {"seller_id": "99"}),
    ("swaps_two_users", "swaps", {"seller_id": "21"}),
    ("swaps_creator_known", "swaps", {"creator": "0"}),
    ("swaps_status_known", "swaps", {"status": "5", "proposal": "''"}),
    ("swaps_price_range", "swaps", {"price_units": "0"}),
    ("swaps_amount_range", "swaps", {"amount_units": "0"}),
    ("swaps_total_range", "swaps", {"total_units": TOO_MUCH}),
    ("swaps_proposal_while_pending", "swaps", {"proposal": "''"}),
    ("swaps_proposal_length", "swaps", {"proposal": "repeat('a', 1048577)"}),
    ("swaps_updated_after_created", "swaps", {"updated_at_ms": "4"}),
    ("swap_candles_pair_id_fkey", "swap_candles", {"pair_id": "99"}),
    ("swap_candles_period_range", "swap_candles", {"period_ms": "59999"}),
    ("swap_candles_high_and_low", "swap_candles", {"high_units": "2"}),
]

TWICE: list[tuple[str, str, Change]] = [
    ("wallets_pkey", "wallets", {"address": "'iTHN4'", "alias": "NULL"}),
    ("wallet_logins_pkey", "wallet_logins", {}),
    ("swap_currencies_pkey", "swap_currencies", {"asset_id": ASSET.format("d"), "native": "false"}),
    ("swap_currencies_one_native", "swap_currencies", {"currency_id": "8", "asset_id": ASSET.format("d")}),
    ("swap_pairs_pkey", "swap_pairs", {}),
    ("swap_offers_pkey", "swap_offers", {}),
    ("swaps_pkey", "swaps", {}),
    ("swaps_one_pending", "swaps", {"swap_id": "8"}),
    ("swap_candles_pkey", "swap_candles", {}),
]
