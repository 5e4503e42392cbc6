"""The real command line on a clock that never sleeps: ``python -m benchmarks.without_waits PAGE execute PLAYBOOK ...``.

A run waits on purpose: a second between the two looks that settle a removal, quarter seconds while the servers agree.
Those pauses are safety and stay in the product. Here they are left out, so that what is measured is what it costs.

PAGE is ``page`` or ``no-page``: whether the run writes report.html when it is over, as the product always does.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runbook.__main__ import main
from runbook.clock import SystemClock


def no_sleep(self: SystemClock, seconds: float) -> None:
    """Comes back at once."""


def no_page(_folder: Path, _hide: Callable[[str], Any]) -> None:
    """Nothing is written."""


if __name__ == "__main__":
    if sys.argv.pop(1) == "no-page":
        from runbook.session import run_session

        run_session.write_report_if_possible = no_page  # type: ignore[attr-defined, assignment]
    SystemClock.sleep = no_sleep  # type: ignore[method-assign]
    main()
