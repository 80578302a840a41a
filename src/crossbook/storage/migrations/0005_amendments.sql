-- Amendments under way, and the fee rates that an order was accepted with.

CREATE TABLE amendments (
    market_id integer NOT NULL,
    sequence bigint NOT NULL,
    order_id bigint NOT NULL,
    account_id bigint NOT NULL,
    side smallint NOT NULL,
    quantity_lots bigint NOT NULL DEFAULT 0,
    price_ticks bigint NOT NULL DEFAULT 0,
    extra_lots bigint NOT NULL DEFAULT 0,
    extra_notional_units numeric(38, 0) NOT NULL DEFAULT 0,
    extra_fee_reserve_units bigint NOT NULL DEFAULT 0,
    held_units bigint NOT NULL DEFAULT 0,
    CONSTRAINT amendments_pkey PRIMARY KEY (market_id, sequence),
    CONSTRAINT amendments_market_id_fkey FOREIGN KEY (market_id) REFERENCES markets,
    CONSTRAINT amendments_sequence_range CHECK (sequence >= 1),
    CONSTRAINT amendments_side_known CHECK (side IN (1, 2)),
    CONSTRAINT amendments_quantity_range CHECK (quantity_lots BETWEEN 0 AND 1099511627775),
    CONSTRAINT amendments_price_range CHECK (price_ticks BETWEEN 0 AND 1099511627775),
    CONSTRAINT amendments_extra_range CHECK (
        extra_lots >= 0 AND extra_notional_units >= extra_lots AND extra_fee_reserve_units >= 0
    ),
    CONSTRAINT amendments_held_range CHECK (held_units >= 0),
    CONSTRAINT amendments_reserve_or_hold CHECK (held_units = 0 OR extra_notional_units = 0)
) WITH (fillfactor = 70);
CREATE INDEX amendments_by_order ON amendments (order_id, sequence);
COMMENT ON TABLE amendments IS 'Amendments that are accepted and not settled, and what each sets aside meanwhile. Settlement removes them.';
COMMENT ON COLUMN amendments.market_id IS 'The market.';
COMMENT ON COLUMN amendments.sequence IS 'Sequence of the command that amends.';
COMMENT ON COLUMN amendments.order_id IS 'The order.';
COMMENT ON COLUMN amendments.account_id IS 'Its owner.';
COMMENT ON COLUMN amendments.side IS 'Its side: 1 buy, 2 sell.';
COMMENT ON COLUMN amendments.quantity_lots IS 'The total quantity that is asked for; 0 for as it is.';
COMMENT ON COLUMN amendments.price_ticks IS 'The price that is asked for; 0 for as it is.';
COMMENT ON COLUMN amendments.extra_lots IS 'Perpetual: what the open sums of the position''s row count for it, beside the order itself.';
COMMENT ON COLUMN amendments.extra_notional_units IS 'Perpetual: what that is worth, in units of the quote asset.';
COMMENT ON COLUMN amendments.extra_fee_reserve_units IS 'Perpetual: its part of the row''s fee reserve.';
COMMENT ON COLUMN amendments.held_units IS 'Spot: what the balance holds for it, beside the order''s own hold; quote for a buy, base for a sell.';

-- An amendment of the price alone counts notional and no lots; its order may end before it is settled.
ALTER TABLE positions DROP CONSTRAINT positions_open_buys_agree, DROP CONSTRAINT positions_open_sells_agree,
    DROP CONSTRAINT positions_fee_reserve_range;
ALTER TABLE positions
    ADD CONSTRAINT positions_open_buys_agree CHECK (open_buy_notional_units >= open_buy_lots),
    ADD CONSTRAINT positions_open_sells_agree CHECK (open_sell_notional_units >= open_sell_lots),
    ADD CONSTRAINT positions_fee_reserve_range CHECK (
        fee_reserve_units BETWEEN 0 AND open_buy_notional_units + open_sell_notional_units
    );

ALTER TABLE orders ADD COLUMN maker_fee_ppm integer, ADD COLUMN taker_fee_ppm integer;
UPDATE orders SET maker_fee_ppm = markets.maker_fee_ppm, taker_fee_ppm = markets.taker_fee_ppm
    FROM markets WHERE markets.market_id = orders.market_id;
ALTER TABLE orders ALTER COLUMN maker_fee_ppm SET NOT NULL, ALTER COLUMN taker_fee_ppm SET NOT NULL,
    ADD CONSTRAINT orders_fee_rates_range CHECK (
        taker_fee_ppm BETWEEN 0 AND 1000000 AND maker_fee_ppm BETWEEN -1000000 AND taker_fee_ppm
    );
COMMENT ON COLUMN orders.maker_fee_ppm IS 'Its fee rate as maker, in parts per million, negative for a rebate: fixed when it was accepted.';
COMMENT ON COLUMN orders.taker_fee_ppm IS 'Its fee rate as taker: what its hold or fee reserve is counted with.';
