"""``runbook demo`` on the leaping clock, for the sessions of the pages: the same run and words, in a second."""

from __future__ import annotations

import sys
from unittest.mock import patch

from runbook.cli.lab import run_demo
from tests.clock import CLOCK, leaping

if __name__ == "__main__":
    with patch("runbook.lab.serving.now", CLOCK.monotonic), leaping():
        sys.exit(run_demo())
