"""The chain daemon, asked by JSON-RPC over HTTP."""
