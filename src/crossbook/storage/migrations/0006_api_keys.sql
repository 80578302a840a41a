-- Programs that trade for an organization: its clients, their fee tiers, and the keys that sign requests.

CREATE TABLE fee_tiers (
    tier smallint NOT NULL,
    maker_fee_ppm integer NOT NULL,
    taker_fee_ppm integer NOT NULL,
    CONSTRAINT fee_tiers_pkey PRIMARY KEY (tier),
    CONSTRAINT fee_tiers_tier_range CHECK (tier >= 1),
    CONSTRAINT fee_tiers_rates_range CHECK (
        taker_fee_ppm BETWEEN 0 AND 1000000 AND maker_fee_ppm BETWEEN -taker_fee_ppm AND taker_fee_ppm
    )
);
COMMENT ON TABLE fee_tiers IS 'Fee rates that clients can have instead of the market''s own, which are tier 0 and have no row.';
COMMENT ON COLUMN fee_tiers.tier IS 'The tier''s number.';
COMMENT ON COLUMN fee_tiers.maker_fee_ppm IS 'Fee of the resting side, in parts per million of the notional; negative for a rebate.';
COMMENT ON COLUMN fee_tiers.taker_fee_ppm IS 'Fee of the taking side, in parts per million of the notional.';

CREATE TABLE clients (
    account_id bigint NOT NULL,
    mnemonic text NOT NULL,
    status smallint NOT NULL DEFAULT 2,
    type smallint NOT NULL DEFAULT 2,
    maker_fee_tier smallint NOT NULL DEFAULT 0,
    taker_fee_tier smallint NOT NULL DEFAULT 0,
    self_trade_prevention smallint NOT NULL DEFAULT 2,
    created_at_ms bigint NOT NULL,
    CONSTRAINT clients_pkey PRIMARY KEY (account_id),
    CONSTRAINT clients_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts,
    CONSTRAINT clients_mnemonic_key UNIQUE (mnemonic),
    CONSTRAINT clients_mnemonic_form CHECK (mnemonic ~ '^[A-Za-z0-9_-]{1,32}$'),
    CONSTRAINT clients_of_users_only CHECK (account_id >= 1000000),
    CONSTRAINT clients_status_known CHECK (status BETWEEN 1 AND 3),
    CONSTRAINT clients_type_known CHECK (type BETWEEN 1 AND 3),
    CONSTRAINT clients_fee_tiers_range CHECK (maker_fee_tier >= 0 AND taker_fee_tier >= 0),
    CONSTRAINT clients_self_trade_prevention_known CHECK (self_trade_prevention IN (1, 2, 4)),
    CONSTRAINT clients_created_at_range CHECK (created_at_ms >= 0)
);
COMMENT ON TABLE clients IS 'Accounts that an organization, which is a user, trades with through keys.';
COMMENT ON COLUMN clients.account_id IS 'The account; also the client''s id.';
COMMENT ON COLUMN clients.mnemonic IS 'Its name, unique in the venue.';
COMMENT ON COLUMN clients.status IS 'ClientStatus: 1 initialized, 2 active, 3 disabled.';
COMMENT ON COLUMN clients.type IS 'ClientType: 1 institution, 2 individual, 3 application.';
COMMENT ON COLUMN clients.maker_fee_tier IS 'Tier of the fee on orders that rest; 0 for the market''s own.';
COMMENT ON COLUMN clients.taker_fee_tier IS 'Tier of the fee on orders that take; 0 for the market''s own.';
COMMENT ON COLUMN clients.self_trade_prevention IS 'SelfTradePrevention of orders that do not name one: 1 none, 2 expire taker, 4 expire both.';
COMMENT ON COLUMN clients.created_at_ms IS 'When it was set up.';

CREATE TABLE api_keys (
    key_id uuid NOT NULL,
    user_id bigint NOT NULL,
    name text NOT NULL DEFAULT '',
    sealed_secret text NOT NULL,
    scopes text[] NOT NULL,
    networks text[] NOT NULL DEFAULT '{}',
    created_at_ms bigint NOT NULL,
    expires_at_ms bigint,
    revoked_at_ms bigint,
    last_used_at_ms bigint,
    CONSTRAINT api_keys_pkey PRIMARY KEY (key_id),
    CONSTRAINT api_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES users,
    CONSTRAINT api_keys_name_length CHECK (length(name) <= 100),
    CONSTRAINT api_keys_sealed_secret_length CHECK (length(sealed_secret) BETWEEN 40 AND 400),
    CONSTRAINT api_keys_scopes_known CHECK (scopes <@ ARRAY['read', 'trade', 'transfer'] AND cardinality(scopes) > 0),
    CONSTRAINT api_keys_networks_count CHECK (cardinality(networks) <= 64),
    CONSTRAINT api_keys_created_at_range CHECK (created_at_ms >= 0),
    CONSTRAINT api_keys_expires_after_created CHECK (expires_at_ms > created_at_ms),
    CONSTRAINT api_keys_revoked_after_created CHECK (revoked_at_ms >= created_at_ms)
);
CREATE INDEX api_keys_by_user ON api_keys (user_id);
COMMENT ON TABLE api_keys IS 'Keys that sign requests for an organization.';
COMMENT ON COLUMN api_keys.key_id IS 'What a request names; not secret.';
COMMENT ON COLUMN api_keys.user_id IS 'The organization.';
COMMENT ON COLUMN api_keys.name IS 'What its owner calls it.';
COMMENT ON COLUMN api_keys.sealed_secret IS 'The secret, encrypted and authenticated under a key that is not in the database, whose name stands before it. It must be readable to check a signature.';
COMMENT ON COLUMN api_keys.scopes IS 'What it may do: read, trade, transfer.';
COMMENT ON COLUMN api_keys.networks IS 'Networks it may be used from; none for everywhere.';
COMMENT ON COLUMN api_keys.created_at_ms IS 'When it was made.';
COMMENT ON COLUMN api_keys.expires_at_ms IS 'Until when it is good; null for ever.';
COMMENT ON COLUMN api_keys.revoked_at_ms IS 'Since when it is refused; null for not revoked.';
COMMENT ON COLUMN api_keys.last_used_at_ms IS 'When it last signed a request, to the minute; null for never.';

CREATE TABLE used_signatures (
    signature bytea NOT NULL,
    expires_at_ms bigint NOT NULL,
    CONSTRAINT used_signatures_pkey PRIMARY KEY (signature),
    CONSTRAINT used_signatures_length CHECK (octet_length(signature) = 32)
);
CREATE INDEX used_signatures_by_expiry ON used_signatures (expires_at_ms);
COMMENT ON TABLE used_signatures IS 'Signatures of requests that may have changed something, so that none is taken twice while its timestamp is good.';
COMMENT ON COLUMN used_signatures.signature IS 'The HMAC.';
COMMENT ON COLUMN used_signatures.expires_at_ms IS 'When its timestamp is too old by itself, and the row may go.';

-- Ether was kept in wei, of which 64 bits hold nine; where nobody has any yet, it is kept in gwei.
UPDATE assets SET decimals = 9
WHERE name = 'ETH' AND decimals = 18 AND NOT EXISTS (SELECT FROM balances WHERE balances.asset_id = assets.asset_id);
