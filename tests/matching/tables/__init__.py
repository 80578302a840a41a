"""The matching rules as book tables: before, command, after, one per rule. The language is in `language.py`."""
