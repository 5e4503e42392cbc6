"""A simulated cluster in virtual time: the doors to a network and a clock on which nobody has to wait."""
