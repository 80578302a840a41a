"""PostgreSQL, the only store: the server, the way to it, its schema, and one module per aggregate."""
