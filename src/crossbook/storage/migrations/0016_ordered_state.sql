-- Others than pricing and operators change the state of a market too, such as the guard of its price limits.

ALTER TABLE market_pricing ADD COLUMN ordered_sequence bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT market_pricing_ordered_sequence_range CHECK (ordered_sequence >= 0);
COMMENT ON COLUMN market_pricing.ordered_sequence IS 'Sequence of the command that ordered the state; once it is settled, the market''s status says more.';
