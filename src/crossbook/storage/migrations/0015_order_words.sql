-- What an order asked for in its owner's words, and numbers that no two processes make ids with at one time.

ALTER TABLE orders ADD COLUMN asked_time_in_force smallint,
    ADD CONSTRAINT orders_asked_time_in_force_known CHECK (asked_time_in_force BETWEEN 1 AND 5);
COMMENT ON COLUMN orders.asked_time_in_force IS 'TimeInForce as it was asked for, where the order entered with another one; null for the same.';

CREATE SEQUENCE id_nodes MINVALUE 0 MAXVALUE 2047 CYCLE;
COMMENT ON SEQUENCE id_nodes IS 'The node of the next process that makes ids: each start takes one, and it comes back after 2,047 others.';
