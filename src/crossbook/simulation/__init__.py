"""A venue in memory: the real engine and the rules of risk, driven along a recorded price path."""
