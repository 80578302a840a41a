-- Names that owners give to their orders: unique among the live ones, and changed by an amendment.

ALTER TABLE orders ADD COLUMN external_id text, ADD COLUMN ref_external_id text,
    DROP CONSTRAINT orders_request_hash_with_client_id,
    ADD CONSTRAINT orders_request_hash_with_client_id CHECK (
        (client_order_id IS NULL OR request_hash IS NOT NULL)
        AND (request_hash IS NULL OR client_order_id IS NOT NULL OR external_id IS NOT NULL)
    ),
    ADD CONSTRAINT orders_external_id_length CHECK (length(external_id) BETWEEN 1 AND 128),
    ADD CONSTRAINT orders_ref_external_id_length CHECK (length(ref_external_id) BETWEEN 1 AND 128);
CREATE UNIQUE INDEX orders_one_live_by_external_id ON orders (account_id, external_id)
    WHERE external_id IS NOT NULL AND is_live;
CREATE INDEX orders_by_external_id ON orders (account_id, external_id, order_id) WHERE external_id IS NOT NULL;
COMMENT ON COLUMN orders.external_id IS 'The owner''s own name of it, unique among the account''s live orders; null for none.';
COMMENT ON COLUMN orders.ref_external_id IS 'The name that it had before the last change of it; null for none.';
