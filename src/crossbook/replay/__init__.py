"""Replays a recorded tape through the matching engine and compares the trades, maker by maker."""
