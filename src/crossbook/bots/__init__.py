"""Bots that keep the demo markets alive: they trade through the application, as any user's order does.

Same seed, same decisions. What is random comes from `system.random_for`; all numbers are whole.
"""
