"""How slow this machine is just now: a processor that others share, or an old one, takes longer for the same work."""

from __future__ import annotations

import time

ROUNDS = 500_000
IDLE = 0.02  # seconds of processor that the rounds take on an idle machine of 2024


def allowed(seconds: float) -> float:
    """What may take so many seconds of processor on an idle machine may take so many here and now."""
    began = time.process_time()
    for number in range(ROUNDS):
        _ = number * number
    return seconds * max(1.0, (time.process_time() - began) / IDLE)
