-- How far prices may go: bands around the book, and halts when a price runs.

CREATE TABLE market_limits (
    market_id integer NOT NULL,
    reference_price_ticks bigint NOT NULL,
    band_basis_points integer NOT NULL DEFAULT 0,
    halt_basis_points integer NOT NULL DEFAULT 0,
    halt_window_ms bigint NOT NULL DEFAULT 0,
    halt_ms bigint NOT NULL DEFAULT 0,
    auction_ms bigint NOT NULL DEFAULT 0,
    is_configured boolean NOT NULL DEFAULT false,
    phase smallint NOT NULL DEFAULT 1,
    phase_since_ms bigint NOT NULL DEFAULT 0,
    CONSTRAINT market_limits_pkey PRIMARY KEY (market_id),
    CONSTRAINT market_limits_market_id_fkey FOREIGN KEY (market_id) REFERENCES markets,
    CONSTRAINT market_limits_reference_price_range CHECK (reference_price_ticks BETWEEN 1 AND 1099511627775),
    CONSTRAINT market_limits_band_range CHECK (band_basis_points BETWEEN 0 AND 10000),
    CONSTRAINT market_limits_halt_complete CHECK (
        halt_basis_points BETWEEN 0 AND 10000 AND halt_window_ms >= 0 AND (halt_basis_points = 0) = (halt_window_ms = 0)
    ),
    CONSTRAINT market_limits_times_range CHECK (
        halt_ms BETWEEN 0 AND 86400000 AND auction_ms BETWEEN 0 AND 86400000 AND halt_window_ms <= 86400000
    ),
    CONSTRAINT market_limits_phase_known CHECK (phase BETWEEN 1 AND 4 AND phase_since_ms >= 0)
);
COMMENT ON TABLE market_limits IS 'Limits of prices, for markets that have them, and how far a halted market is on its way back.';
COMMENT ON COLUMN market_limits.market_id IS 'The market.';
COMMENT ON COLUMN market_limits.reference_price_ticks IS 'What the band is measured from while a side of the book is empty.';
COMMENT ON COLUMN market_limits.band_basis_points IS 'An order further from the midpoint is rejected; 0 for no band.';
COMMENT ON COLUMN market_limits.halt_basis_points IS 'A price that moves further within the window halts the market; 0 for never.';
COMMENT ON COLUMN market_limits.halt_window_ms IS 'The window.';
COMMENT ON COLUMN market_limits.halt_ms IS 'How long a halt lasts before orders for the auction are collected.';
COMMENT ON COLUMN market_limits.auction_ms IS 'How long they are collected before the auction opens the market again.';
COMMENT ON COLUMN market_limits.is_configured IS 'Whether the band is in the market''s log.';
COMMENT ON COLUMN market_limits.phase IS 'HaltPhase: 1 trading, 2 halted, 3 collecting for the auction, 4 opening.';
COMMENT ON COLUMN market_limits.phase_since_ms IS 'Since when.';
