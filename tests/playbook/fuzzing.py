"""How much is fuzzed: a little in every run of the tests, as much as ``FUZZ_EXAMPLES`` says where it is set."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "80"))
"""Inputs for each property."""
FUZZ = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MAX_SECONDS = 1.0
"""Of processor time for one input, however hostile."""


def in_time(work: Callable[[], object]) -> None:
    """Do it, and hold that it took no longer than any input may."""
    begun = time.process_time()
    work()
    assert time.process_time() - begun < MAX_SECONDS
