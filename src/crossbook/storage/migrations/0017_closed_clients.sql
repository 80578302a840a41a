-- A client can be closed for ever.

ALTER TABLE clients DROP CONSTRAINT clients_status_known, ADD CONSTRAINT clients_status_known CHECK (status BETWEEN 1 AND 4);
COMMENT ON COLUMN clients.status IS 'ClientStatus: 1 initialized, 2 active, 3 disabled, 4 closed.';
