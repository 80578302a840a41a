-- Where marks come from, what a funding period has seen so far, and what operators ordered.

CREATE TABLE market_pricing (
    market_id integer NOT NULL,
    state smallint NOT NULL,
    halted_from smallint,
    basis_numerator numeric(60, 0) NOT NULL DEFAULT 0,
    basis_denominator numeric(60, 0) NOT NULL DEFAULT 0,
    price_numerator numeric(60, 0) NOT NULL DEFAULT 0,
    price_denominator numeric(60, 0) NOT NULL DEFAULT 0,
    looked_at_ms bigint NOT NULL DEFAULT 0,
    CONSTRAINT market_pricing_pkey PRIMARY KEY (market_id),
    CONSTRAINT market_pricing_market_id_fkey FOREIGN KEY (market_id) REFERENCES markets,
    CONSTRAINT market_pricing_state_known CHECK (state BETWEEN 1 AND 6),
    CONSTRAINT market_pricing_halted_from_known CHECK (halted_from IN (1, 2, 4) AND state = 3 OR halted_from IS NULL),
    CONSTRAINT market_pricing_averages_range CHECK (
        basis_denominator >= 0 AND price_denominator >= 0 AND price_numerator >= 0
    ),
    CONSTRAINT market_pricing_looked_at_range CHECK (looked_at_ms >= 0)
) WITH (fillfactor = 10);
COMMENT ON TABLE market_pricing IS 'What pricing remembers of each market, so that it goes on after a restart.';
COMMENT ON COLUMN market_pricing.market_id IS 'The market.';
COMMENT ON COLUMN market_pricing.state IS 'MarketState that was last ordered, by an operator or for a lost index; settled or not.';
COMMENT ON COLUMN market_pricing.halted_from IS 'MarketState to go back to when there is an index again; null unless its loss halted the market.';
COMMENT ON COLUMN market_pricing.basis_numerator IS 'Average of the market''s premium over the index, see crossbook.domain.mark.';
COMMENT ON COLUMN market_pricing.basis_denominator IS 'Its weight.';
COMMENT ON COLUMN market_pricing.price_numerator IS 'Average of the market''s own price.';
COMMENT ON COLUMN market_pricing.price_denominator IS 'Its weight.';
COMMENT ON COLUMN market_pricing.looked_at_ms IS 'When the averages were last moved on.';

CREATE TABLE index_quotes (
    market_id integer NOT NULL,
    source text NOT NULL,
    price_micro_ticks bigint NOT NULL,
    quoted_at_ms bigint NOT NULL,
    user_id bigint NOT NULL,
    CONSTRAINT index_quotes_pkey PRIMARY KEY (market_id, source),
    CONSTRAINT index_quotes_market_id_fkey FOREIGN KEY (market_id) REFERENCES markets,
    CONSTRAINT index_quotes_user_id_fkey FOREIGN KEY (user_id) REFERENCES users,
    CONSTRAINT index_quotes_source_form CHECK (source ~ '^[a-z0-9][a-z0-9._-]{0,31}$'),
    CONSTRAINT index_quotes_price_range CHECK (price_micro_ticks BETWEEN 1 AND 1099511627775000000),
    CONSTRAINT index_quotes_quoted_at_range CHECK (quoted_at_ms >= 0)
) WITH (fillfactor = 50);
COMMENT ON TABLE index_quotes IS 'The newest price of each source that is fed by an operator.';
COMMENT ON COLUMN index_quotes.market_id IS 'The market.';
COMMENT ON COLUMN index_quotes.source IS 'Name of the source.';
COMMENT ON COLUMN index_quotes.price_micro_ticks IS 'Its price, in millionths of a tick.';
COMMENT ON COLUMN index_quotes.quoted_at_ms IS 'When it said so.';
COMMENT ON COLUMN index_quotes.user_id IS 'Who fed it.';

CREATE TABLE funding_periods (
    market_id integer NOT NULL,
    period_start_ms bigint NOT NULL,
    looked_at_ms bigint NOT NULL,
    live boolean NOT NULL,
    live_ms bigint NOT NULL,
    samples integer NOT NULL,
    premium_sum_ppt numeric(38, 0) NOT NULL,
    index_price_ticks bigint NOT NULL,
    rate_ppb bigint,
    sequence bigint,
    CONSTRAINT funding_periods_pkey PRIMARY KEY (market_id, period_start_ms),
    CONSTRAINT funding_periods_market_id_fkey FOREIGN KEY (market_id) REFERENCES markets,
    CONSTRAINT funding_periods_times_in_order CHECK (period_start_ms >= 0 AND looked_at_ms >= period_start_ms),
    CONSTRAINT funding_periods_samples_range CHECK (live_ms >= 0 AND samples >= 0 AND (samples > 0 OR premium_sum_ppt = 0)),
    CONSTRAINT funding_periods_index_range CHECK (index_price_ticks BETWEEN 0 AND 1099511627775),
    CONSTRAINT funding_periods_applied_whole CHECK ((rate_ppb IS NULL) = (sequence IS NULL)),
    CONSTRAINT funding_periods_rate_range CHECK (rate_ppb BETWEEN -1000000000 AND 1000000000)
) WITH (fillfactor = 50);
CREATE INDEX funding_periods_open ON funding_periods (market_id, period_start_ms) WHERE sequence IS NULL;
COMMENT ON TABLE funding_periods IS 'Periods of funding: what was sampled, and, once the rate is in the log, the rate. A period is applied once by its key.';
COMMENT ON COLUMN funding_periods.market_id IS 'The market.';
COMMENT ON COLUMN funding_periods.period_start_ms IS 'When it began.';
COMMENT ON COLUMN funding_periods.looked_at_ms IS 'When the market was last looked at in it.';
COMMENT ON COLUMN funding_periods.live IS 'Whether it was trading then.';
COMMENT ON COLUMN funding_periods.live_ms IS 'For how long it was trading so far.';
COMMENT ON COLUMN funding_periods.samples IS 'How many premiums were sampled.';
COMMENT ON COLUMN funding_periods.premium_sum_ppt IS 'Their sum, in parts per trillion of the index.';
COMMENT ON COLUMN funding_periods.index_price_ticks IS 'The last index seen; 0 for none.';
COMMENT ON COLUMN funding_periods.rate_ppb IS 'The rate, in parts per billion; null while it runs.';
COMMENT ON COLUMN funding_periods.sequence IS 'Sequence of the command that applies it; null while it runs.';

CREATE TABLE admin_log (
    entry_id bigint GENERATED BY DEFAULT AS IDENTITY,
    user_id bigint NOT NULL,
    action text NOT NULL,
    market_id integer,
    reason text NOT NULL,
    details jsonb NOT NULL DEFAULT '{}',
    created_at_ms bigint NOT NULL,
    CONSTRAINT admin_log_pkey PRIMARY KEY (entry_id),
    CONSTRAINT admin_log_user_id_fkey FOREIGN KEY (user_id) REFERENCES users,
    CONSTRAINT admin_log_market_id_fkey FOREIGN KEY (market_id) REFERENCES markets,
    CONSTRAINT admin_log_action_form CHECK (action ~ '^[a-z][a-z-]{0,31}$'),
    CONSTRAINT admin_log_reason_length CHECK (length(reason) BETWEEN 1 AND 500),
    CONSTRAINT admin_log_created_at_range CHECK (created_at_ms >= 0)
);
CREATE TRIGGER admin_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON admin_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
COMMENT ON TABLE admin_log IS 'What operators did, and why; never changed.';
COMMENT ON COLUMN admin_log.entry_id IS 'Rising; the cursor of lists.';
COMMENT ON COLUMN admin_log.user_id IS 'Who.';
COMMENT ON COLUMN admin_log.action IS 'What was done, such as market-state.';
COMMENT ON COLUMN admin_log.market_id IS 'To which market; null for the venue.';
COMMENT ON COLUMN admin_log.reason IS 'Why, in the operator''s words.';
COMMENT ON COLUMN admin_log.details IS 'With which values.';
COMMENT ON COLUMN admin_log.created_at_ms IS 'When.';
