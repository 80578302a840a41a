-- Nobody reads the postings of one account: balances hold their sums, and the audit reads them all. The index was
-- the dearest part of writing them.
DROP INDEX postings_by_account;
