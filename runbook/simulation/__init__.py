"""The simulated cluster as a pure model: what the lab serves and what tests play on. Its clock is told to it."""
