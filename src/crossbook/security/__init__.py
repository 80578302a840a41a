"""Passwords, tokens, and keeping secrets out of what is written down."""
