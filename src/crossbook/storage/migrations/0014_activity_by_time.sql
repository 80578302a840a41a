-- Lists of activity go by the time at which it was written down: rows of transactions that met are in that order too.

DROP INDEX activity_by_account, activity_by_time;
CREATE INDEX activity_by_account ON activity (account_id, recorded_at_ns, activity_id);
COMMENT ON COLUMN activity.recorded_at_ns IS 'When it was written down, in nanoseconds since the epoch: milliseconds of the venue''s clock, and the last digits of the id.';
