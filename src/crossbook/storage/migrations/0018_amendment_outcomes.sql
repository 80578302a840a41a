-- What came of the last amendment of an order, so that its owner can see a refusal.

ALTER TABLE orders ADD COLUMN amended_at_ms bigint, ADD COLUMN amendment_reason smallint,
    ADD CONSTRAINT orders_amendment_whole CHECK (
        CASE WHEN amended_at_ms IS NULL THEN amendment_reason IS NULL
        ELSE amended_at_ms >= 0 AND coalesce(amendment_reason >= 0, false) END
    );
COMMENT ON COLUMN orders.amended_at_ms IS 'When the last amendment that is settled was accepted into the log; null for none.';
COMMENT ON COLUMN orders.amendment_reason IS 'Reason why the engine refused it; 0 when it was taken, null for none.';
