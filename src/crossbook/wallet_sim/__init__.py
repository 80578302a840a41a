"""A simulated wallet and chain daemon, for tests and demos: real keys and signatures, pretend money."""
