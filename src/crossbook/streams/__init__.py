"""Carriers of commands and events between the workers: one port, two adapters, and what refills them from the log."""
