-- The way of an order: the log of commands, orders, fills, and what lets a worker go on where another stopped.

CREATE TABLE market_sequences (
    market_id integer NOT NULL,
    last_accepted_sequence bigint NOT NULL DEFAULT 0,
    CONSTRAINT market_sequences_pkey PRIMARY KEY (market_id),
    CONSTRAINT market_sequences_market_id_fkey FOREIGN KEY (market_id) REFERENCES markets,
    CONSTRAINT market_sequences_not_negative CHECK (last_accepted_sequence >= 0)
) WITH (fillfactor = 10);
COMMENT ON TABLE market_sequences IS 'The counter of each market''s log. Updated by every batch that is accepted, so commit order is sequence order.';
COMMENT ON COLUMN market_sequences.market_id IS 'The market.';
COMMENT ON COLUMN market_sequences.last_accepted_sequence IS 'Sequence of the newest command in the log; 0 for none.';

CREATE TABLE market_settlements (
    market_id integer NOT NULL,
    last_settled_sequence bigint NOT NULL DEFAULT 0,
    CONSTRAINT market_settlements_pkey PRIMARY KEY (market_id),
    CONSTRAINT market_settlements_market_id_fkey FOREIGN KEY (market_id) REFERENCES markets,
    CONSTRAINT market_settlements_not_negative CHECK (last_settled_sequence >= 0)
) WITH (fillfactor = 10);
COMMENT ON TABLE market_settlements IS 'How far each market is settled. Not in market_sequences, so that accepting and settling never wait for each other.';
COMMENT ON COLUMN market_settlements.market_id IS 'The market.';
COMMENT ON COLUMN market_settlements.last_settled_sequence IS 'Sequence of the newest command whose events are settled, stored in the same transaction as what they moved.';

CREATE TABLE commands (
    market_id integer NOT NULL,
    sequence bigint NOT NULL,
    version smallint NOT NULL,
    record bytea NOT NULL,
    accepted_at_ms bigint NOT NULL,
    CONSTRAINT commands_pkey PRIMARY KEY (market_id, sequence),
    CONSTRAINT commands_sequence_range CHECK (sequence >= 1),
    CONSTRAINT commands_version_range CHECK (version >= 1),
    CONSTRAINT commands_record_whole CHECK (octet_length(record) > 0 AND octet_length(record) % 112 = 0),
    CONSTRAINT commands_accepted_at_range CHECK (accepted_at_ms >= 0)
);
COMMENT ON TABLE commands IS 'The log of each market: the truth, from which everything else can be made again.';
COMMENT ON COLUMN commands.market_id IS 'The market.';
COMMENT ON COLUMN commands.sequence IS 'Place in the market''s log, from 1 without a gap.';
COMMENT ON COLUMN commands.version IS 'Version of the command vocabulary that the record is written in.';
COMMENT ON COLUMN commands.record IS 'The command as the engine takes it: one record of 112 bytes, or several for a batch under one sequence.';
COMMENT ON COLUMN commands.accepted_at_ms IS 'When it was accepted: the time inside the record.';

CREATE TRIGGER commands_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON commands
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION refuse_command_beyond_counter() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    SELECT added.market_id, max(added.sequence) AS sequence INTO wrong
        FROM added LEFT JOIN market_sequences USING (market_id)
        GROUP BY added.market_id, last_accepted_sequence
        HAVING max(added.sequence) > coalesce(last_accepted_sequence, 0) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'command % of market % was not counted', wrong.sequence, wrong.market_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION refuse_command_beyond_counter() IS 'A command''s sequence was taken from its market''s counter.';
CREATE TRIGGER commands_counted AFTER INSERT ON commands REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_command_beyond_counter();

CREATE FUNCTION refuse_gap_in_log() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found bigint;
BEGIN
    IF NEW.last_accepted_sequence < OLD.last_accepted_sequence OR NEW.market_id <> OLD.market_id THEN
        RAISE EXCEPTION 'the counter of market % went back', OLD.market_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    SELECT count(*) INTO found FROM commands
        WHERE market_id = NEW.market_id
        AND sequence > OLD.last_accepted_sequence AND sequence <= NEW.last_accepted_sequence;
    IF found <> NEW.last_accepted_sequence - OLD.last_accepted_sequence THEN
        RAISE EXCEPTION 'market % counted % commands and logged %',
            NEW.market_id, NEW.last_accepted_sequence - OLD.last_accepted_sequence, found
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION refuse_gap_in_log() IS 'When a transaction commits, every sequence that it counted has its command.';
CREATE CONSTRAINT TRIGGER market_sequences_without_gap AFTER UPDATE ON market_sequences
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_gap_in_log();

CREATE FUNCTION refuse_counter_that_starts_late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the counters of market % start at 0', NEW.market_id
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$;
COMMENT ON FUNCTION refuse_counter_that_starts_late() IS 'Counters are born at 0.';
CREATE TRIGGER market_sequences_start_at_zero BEFORE INSERT ON market_sequences
    FOR EACH ROW WHEN (NEW.last_accepted_sequence <> 0) EXECUTE FUNCTION refuse_counter_that_starts_late();
CREATE TRIGGER market_settlements_start_at_zero BEFORE INSERT ON market_settlements
    FOR EACH ROW WHEN (NEW.last_settled_sequence <> 0) EXECUTE FUNCTION refuse_counter_that_starts_late();

CREATE FUNCTION refuse_settlement_out_of_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.last_settled_sequence < OLD.last_settled_sequence OR NEW.market_id <> OLD.market_id
        OR NEW.last_settled_sequence > (SELECT last_accepted_sequence FROM market_sequences WHERE market_id = NEW.market_id)
    THEN
        RAISE EXCEPTION 'market % can not be settled from % to %',
            OLD.market_id, OLD.last_settled_sequence, NEW.last_settled_sequence
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION refuse_settlement_out_of_order() IS 'Settlement never goes back and never passes the log.';
CREATE TRIGGER market_settlements_in_order BEFORE UPDATE ON market_settlements
    FOR EACH ROW EXECUTE FUNCTION refuse_settlement_out_of_order();

-- The counters of a market come into being with it.
CREATE FUNCTION start_counters() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO market_sequences (market_id) VALUES (NEW.market_id);
    INSERT INTO market_settlements (market_id) VALUES (NEW.market_id);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION start_counters() IS 'Gives a new market its counters.';
CREATE TRIGGER markets_start_counters AFTER INSERT ON markets FOR EACH ROW EXECUTE FUNCTION start_counters();

CREATE TABLE orders (
    order_id bigint GENERATED BY DEFAULT AS IDENTITY,
    account_id bigint NOT NULL,
    market_id integer NOT NULL,
    sequence bigint NOT NULL,
    client_order_id text,
    request_hash bytea,
    side smallint NOT NULL,
    type smallint NOT NULL,
    time_in_force smallint NOT NULL,
    post_only boolean NOT NULL DEFAULT false,
    reduce_only boolean NOT NULL DEFAULT false,
    self_trade_prevention smallint NOT NULL DEFAULT 2,
    leverage smallint NOT NULL DEFAULT 1,
    quantity_lots bigint NOT NULL,
    price_ticks bigint NOT NULL DEFAULT 0,
    budget bigint NOT NULL DEFAULT 0,
    display_quantity_lots bigint NOT NULL DEFAULT 0,
    trigger_price_ticks bigint NOT NULL DEFAULT 0,
    trigger_source smallint NOT NULL DEFAULT 1,
    trail bigint NOT NULL DEFAULT 0,
    trail_in_basis_points boolean NOT NULL DEFAULT false,
    oco_order_id bigint NOT NULL DEFAULT 0,
    trade_group bigint NOT NULL DEFAULT 0,
    expire_time_ms bigint NOT NULL DEFAULT 0,
    status smallint NOT NULL DEFAULT 1,
    reason smallint NOT NULL DEFAULT 0,
    open_lots bigint NOT NULL,
    filled_lots bigint NOT NULL DEFAULT 0,
    filled_notional_units numeric(38, 0) NOT NULL DEFAULT 0,
    held_units bigint NOT NULL DEFAULT 0,
    is_live boolean NOT NULL GENERATED ALWAYS AS (status <= 3) STORED,
    ended_status smallint GENERATED ALWAYS AS (CASE WHEN status > 3 THEN status END) STORED,
    created_at_ms bigint NOT NULL,
    updated_at_ms bigint NOT NULL,
    CONSTRAINT orders_pkey PRIMARY KEY (order_id),
    CONSTRAINT orders_order_id_range CHECK (order_id BETWEEN 1 AND 4611686018427387903),
    CONSTRAINT orders_sequence_range CHECK (sequence >= 1),
    CONSTRAINT orders_client_order_id_length CHECK (length(client_order_id) BETWEEN 1 AND 128),
    CONSTRAINT orders_request_hash_with_client_id CHECK ((client_order_id IS NULL) = (request_hash IS NULL)),
    CONSTRAINT orders_request_hash_length CHECK (octet_length(request_hash) = 32),
    CONSTRAINT orders_side_known CHECK (side IN (1, 2)),
    CONSTRAINT orders_type_known CHECK (type BETWEEN 1 AND 7),
    CONSTRAINT orders_time_in_force_known CHECK (time_in_force BETWEEN 1 AND 5),
    CONSTRAINT orders_self_trade_prevention_known CHECK (self_trade_prevention BETWEEN 1 AND 5),
    CONSTRAINT orders_trigger_source_known CHECK (trigger_source BETWEEN 1 AND 3),
    CONSTRAINT orders_leverage_range CHECK (leverage BETWEEN 1 AND 1000),
    CONSTRAINT orders_quantity_or_budget CHECK (
        CASE WHEN budget = 0 THEN quantity_lots BETWEEN 1 AND 1099511627775
        ELSE type = 2 AND quantity_lots = 0 AND budget BETWEEN 1 AND 2305843009213693951 END
    ),
    CONSTRAINT orders_price_by_type CHECK (
        price_ticks BETWEEN (CASE WHEN type IN (1, 4, 6) THEN 1 ELSE 0 END) AND 1099511627775
    ),
    CONSTRAINT orders_market_is_immediate CHECK (type <> 2 OR time_in_force IN (2, 3)),
    CONSTRAINT orders_post_only_rests CHECK (NOT post_only OR (type IN (1, 4, 6) AND time_in_force NOT IN (2, 3))),
    CONSTRAINT orders_display_range CHECK (
        display_quantity_lots = 0
        OR (type IN (1, 4, 6) AND time_in_force NOT IN (2, 3) AND display_quantity_lots BETWEEN 1 AND quantity_lots)
    ),
    CONSTRAINT orders_trigger_by_type CHECK (
        trigger_price_ticks BETWEEN 0 AND 1099511627775
        AND CASE WHEN type IN (1, 2) THEN trigger_price_ticks = 0 WHEN type = 7 THEN true ELSE trigger_price_ticks >= 1 END
    ),
    CONSTRAINT orders_trail_by_type CHECK (
        CASE WHEN type <> 7 THEN trail = 0 AND NOT trail_in_basis_points
        WHEN trail_in_basis_points THEN trail BETWEEN 1 AND 9999
        ELSE trail BETWEEN 1 AND 1099511627775 END
    ),
    CONSTRAINT orders_oco_range CHECK (oco_order_id BETWEEN 0 AND 4611686018427387903 AND oco_order_id <> order_id),
    CONSTRAINT orders_trade_group_range CHECK (trade_group BETWEEN 0 AND 4611686018427387903),
    CONSTRAINT orders_expiry_by_time_in_force CHECK (
        CASE WHEN time_in_force = 4 THEN expire_time_ms BETWEEN 1 AND 9007199254740991 ELSE expire_time_ms = 0 END
    ),
    CONSTRAINT orders_status_known CHECK (status BETWEEN 1 AND 7),
    CONSTRAINT orders_reason_by_status CHECK (
        reason >= 0 AND (status NOT IN (5, 6, 7) OR reason > 0)
    ),
    CONSTRAINT orders_filled_range CHECK (
        filled_lots >= 0 AND filled_notional_units >= filled_lots AND (filled_lots > 0 OR filled_notional_units = 0)
    ),
    CONSTRAINT orders_open_range CHECK (open_lots >= 0 AND (budget > 0 OR open_lots + filled_lots <= quantity_lots)),
    CONSTRAINT orders_open_by_status CHECK (
        CASE WHEN budget > 0 THEN open_lots = 0 WHEN status <= 3 THEN open_lots > 0 ELSE open_lots = 0 END
    ),
    CONSTRAINT orders_filled_by_status CHECK (
        CASE WHEN status IN (1, 2, 6) THEN filled_lots = 0 WHEN status IN (3, 4) THEN filled_lots > 0 ELSE true END
    ),
    CONSTRAINT orders_held_not_negative CHECK (held_units >= 0),
    CONSTRAINT orders_ended_hold_nothing CHECK (status <= 3 OR held_units = 0),
    CONSTRAINT orders_times_in_order CHECK (created_at_ms >= 0 AND updated_at_ms >= created_at_ms)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX orders_one_by_client_id ON orders (account_id, client_order_id) WHERE client_order_id IS NOT NULL;
CREATE INDEX orders_by_account ON orders (account_id, market_id, order_id);
CREATE INDEX orders_live ON orders (account_id, market_id, order_id) WHERE is_live;
CREATE INDEX orders_ended ON orders (account_id, ended_status, market_id, order_id) WHERE NOT is_live;
CREATE INDEX orders_expiring ON orders (market_id, expire_time_ms) WHERE is_live AND time_in_force IN (4, 5);
COMMENT ON TABLE orders IS 'Every order that was accepted into the log, as its owner sees it.';
COMMENT ON COLUMN orders.order_id IS 'Unique for ever, rising; the order id of the engine, and the cursor of lists.';
COMMENT ON COLUMN orders.account_id IS 'The owner.';
COMMENT ON COLUMN orders.market_id IS 'The market.';
COMMENT ON COLUMN orders.sequence IS 'Sequence of the command that entered it.';
COMMENT ON COLUMN orders.client_order_id IS 'The owner''s own id, unique for ever among the account''s orders; null for none.';
COMMENT ON COLUMN orders.request_hash IS 'SHA-256 of what was asked: another body under the same client id is refused.';
COMMENT ON COLUMN orders.side IS 'Side: 1 buy, 2 sell.';
COMMENT ON COLUMN orders.type IS 'OrderType: 1 limit, 2 market, 3 stop, 4 stop limit, 5 take profit, 6 take profit limit, 7 trailing stop.';
COMMENT ON COLUMN orders.time_in_force IS 'TimeInForce: 1 GTC, 2 IOC, 3 FOK, 4 GTD, 5 DAY.';
COMMENT ON COLUMN orders.post_only IS 'It must not take.';
COMMENT ON COLUMN orders.reduce_only IS 'It must not grow or flip the position.';
COMMENT ON COLUMN orders.self_trade_prevention IS 'SelfTradePrevention: 1 none, 2 expire taker, 3 expire maker, 4 expire both, 5 decrement.';
COMMENT ON COLUMN orders.leverage IS 'Leverage asked for; 1 outside of perpetuals.';
COMMENT ON COLUMN orders.quantity_lots IS 'Total quantity, executed part included; 0 for an order by amount. An amendment changes it.';
COMMENT ON COLUMN orders.price_ticks IS 'Limit price of limit kinds, protection price of market kinds; 0 for none.';
COMMENT ON COLUMN orders.budget IS 'Amount of a market order by amount, in ticks times lots; 0 for an order by quantity.';
COMMENT ON COLUMN orders.display_quantity_lots IS 'What an iceberg shows at a time; 0 for an ordinary order.';
COMMENT ON COLUMN orders.trigger_price_ticks IS 'Price that sets off a waiting order; 0 for none.';
COMMENT ON COLUMN orders.trigger_source IS 'PriceSource that the trigger watches: 1 last, 2 mark, 3 index.';
COMMENT ON COLUMN orders.trail IS 'Distance of a trailing stop, in ticks, or in basis points if so said.';
COMMENT ON COLUMN orders.trail_in_basis_points IS 'Whether the trail is in basis points.';
COMMENT ON COLUMN orders.oco_order_id IS 'The sibling that it was paired with on entry; 0 for none.';
COMMENT ON COLUMN orders.trade_group IS 'Group that self-trade prevention spans; 0 for the account alone.';
COMMENT ON COLUMN orders.expire_time_ms IS 'End of a GTD order; 0 for none.';
COMMENT ON COLUMN orders.status IS '1 pending, 2 open, 3 partially filled, 4 filled, 5 cancelled, 6 rejected, 7 expired.';
COMMENT ON COLUMN orders.reason IS 'Reason why it ended or was cut short; 0 for none.';
COMMENT ON COLUMN orders.open_lots IS 'What may still trade; 0 once ended, and for an order by amount.';
COMMENT ON COLUMN orders.filled_lots IS 'What has traded.';
COMMENT ON COLUMN orders.filled_notional_units IS 'What that was worth, in units of the quote asset; the average price follows from it.';
COMMENT ON COLUMN orders.held_units IS 'Spot: what it still holds of the balance, in units of the quote asset for a buy, of the base asset for a sell. Perpetual: 0, the margin follows from the position''s row.';
COMMENT ON COLUMN orders.is_live IS 'Whether it has not ended, from the status. Indexes use this and the next column, never the status, so that a status change of a live order touches no index.';
COMMENT ON COLUMN orders.ended_status IS 'The status once it is final, to find ended orders by; null for live ones.';
COMMENT ON COLUMN orders.created_at_ms IS 'When it was accepted into the log.';
COMMENT ON COLUMN orders.updated_at_ms IS 'When anything of it last changed.';

CREATE TABLE fills (
    market_id integer NOT NULL,
    trade_id bigint NOT NULL,
    side smallint NOT NULL,
    fill_id bigint GENERATED BY DEFAULT AS IDENTITY,
    order_id bigint NOT NULL,
    account_id bigint NOT NULL,
    role smallint NOT NULL,
    price_ticks bigint NOT NULL,
    quantity_lots bigint NOT NULL,
    notional_units bigint NOT NULL,
    fee_units bigint NOT NULL,
    fee_ppm integer NOT NULL,
    fee_asset_id smallint NOT NULL,
    realised_pnl_units bigint NOT NULL DEFAULT 0,
    sequence bigint NOT NULL,
    event_index integer NOT NULL,
    created_at_ms bigint NOT NULL,
    CONSTRAINT fills_pkey PRIMARY KEY (market_id, trade_id, side),
    CONSTRAINT fills_trade_id_range CHECK (trade_id >= 1),
    CONSTRAINT fills_side_known CHECK (side IN (1, 2)),
    CONSTRAINT fills_role_known CHECK (role IN (1, 2)),
    CONSTRAINT fills_price_range CHECK (price_ticks BETWEEN 1 AND 1099511627775),
    CONSTRAINT fills_quantity_range CHECK (quantity_lots BETWEEN 1 AND 1099511627775),
    CONSTRAINT fills_notional_range CHECK (notional_units >= quantity_lots),
    CONSTRAINT fills_fee_agrees CHECK (abs(fee_ppm) <= 1000000 AND sign(fee_units) * sign(fee_ppm) >= 0),
    CONSTRAINT fills_event_range CHECK (sequence >= 1 AND event_index >= 0),
    CONSTRAINT fills_created_at_range CHECK (created_at_ms >= 0)
);
CREATE UNIQUE INDEX fills_by_account ON fills (account_id, market_id, fill_id);
CREATE INDEX fills_by_order ON fills (order_id);
CREATE TRIGGER fills_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fills
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
COMMENT ON TABLE fills IS 'Both sides of every trade, once.';
COMMENT ON COLUMN fills.market_id IS 'The market.';
COMMENT ON COLUMN fills.trade_id IS 'The trade''s number in its market, from 1.';
COMMENT ON COLUMN fills.side IS 'Side of this half of the trade: 1 buy, 2 sell.';
COMMENT ON COLUMN fills.fill_id IS 'Rising; the cursor of lists.';
COMMENT ON COLUMN fills.order_id IS 'The order that traded.';
COMMENT ON COLUMN fills.account_id IS 'Its owner.';
COMMENT ON COLUMN fills.role IS 'LiquidityRole: 1 maker, 2 taker. In an auction nobody takes: both sides are makers.';
COMMENT ON COLUMN fills.price_ticks IS 'The price: the maker''s.';
COMMENT ON COLUMN fills.quantity_lots IS 'What traded.';
COMMENT ON COLUMN fills.notional_units IS 'Price times quantity, exact, in units of the quote asset.';
COMMENT ON COLUMN fills.fee_units IS 'Fee, in units of the fee asset; negative for a rebate.';
COMMENT ON COLUMN fills.fee_ppm IS 'Rate that the fee was taken at, in parts per million.';
COMMENT ON COLUMN fills.fee_asset_id IS 'Asset of the fee.';
COMMENT ON COLUMN fills.realised_pnl_units IS 'Profit that this fill realised, before its fee, in units of the quote asset.';
COMMENT ON COLUMN fills.sequence IS 'Sequence of the command that caused the trade.';
COMMENT ON COLUMN fills.event_index IS 'The trade''s index among the events of that command.';
COMMENT ON COLUMN fills.created_at_ms IS 'When it traded: the time of the command.';

CREATE TABLE snapshots (
    market_id integer NOT NULL,
    sequence bigint NOT NULL,
    data bytea NOT NULL,
    created_at_ms bigint NOT NULL,
    CONSTRAINT snapshots_pkey PRIMARY KEY (market_id, sequence),
    CONSTRAINT snapshots_market_id_fkey FOREIGN KEY (market_id) REFERENCES markets,
    CONSTRAINT snapshots_sequence_range CHECK (sequence >= 0),
    CONSTRAINT snapshots_data_not_empty CHECK (octet_length(data) > 0),
    CONSTRAINT snapshots_created_at_range CHECK (created_at_ms >= 0)
);
-- Compressing many megabytes takes longer than writing them.
ALTER TABLE snapshots ALTER COLUMN data SET STORAGE EXTERNAL;
COMMENT ON TABLE snapshots IS 'States of the engines, so that a start need not begin at the first command.';
COMMENT ON COLUMN snapshots.market_id IS 'The market.';
COMMENT ON COLUMN snapshots.sequence IS 'The last command that the state has seen.';
COMMENT ON COLUMN snapshots.data IS 'The state, with a checksum of its own.';
COMMENT ON COLUMN snapshots.created_at_ms IS 'When it was taken.';

CREATE TABLE leases (
    market_id integer NOT NULL,
    role text NOT NULL,
    holder text NOT NULL,
    fencing_token bigint NOT NULL,
    expires_at_ms bigint NOT NULL,
    CONSTRAINT leases_pkey PRIMARY KEY (market_id, role),
    CONSTRAINT leases_market_id_fkey FOREIGN KEY (market_id) REFERENCES markets,
    CONSTRAINT leases_role_form CHECK (role ~ '^[a-z][a-z_-]{0,31}$'),
    CONSTRAINT leases_holder_length CHECK (length(holder) BETWEEN 1 AND 200),
    CONSTRAINT leases_fencing_token_range CHECK (fencing_token >= 1),
    CONSTRAINT leases_expires_at_range CHECK (expires_at_ms >= 0)
);
COMMENT ON TABLE leases IS 'Which worker may do a job for a market at the moment.';
COMMENT ON COLUMN leases.market_id IS 'The market.';
COMMENT ON COLUMN leases.role IS 'The job, such as matcher.';
COMMENT ON COLUMN leases.holder IS 'The worker that has, or last had, the lease.';
COMMENT ON COLUMN leases.fencing_token IS 'Rises whenever the lease is given anew: work under an older token is refused.';
COMMENT ON COLUMN leases.expires_at_ms IS 'Until when nobody else may take it; 0 for given back.';

CREATE FUNCTION refuse_lower_token() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the fencing token of market % and role % can not fall, nor change hands without rising',
        OLD.market_id, OLD.role
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$;
COMMENT ON FUNCTION refuse_lower_token() IS 'A token names one holder for ever.';
CREATE TRIGGER leases_token_rises BEFORE UPDATE ON leases FOR EACH ROW
    WHEN (NEW.fencing_token < OLD.fencing_token
        OR (NEW.fencing_token = OLD.fencing_token AND NEW.holder <> OLD.holder))
    EXECUTE FUNCTION refuse_lower_token();
