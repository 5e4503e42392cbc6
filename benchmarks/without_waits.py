"""The real command line on a clock that never sleeps: ``python -m benchmarks.without_waits execute PLAYBOOK ...``.

A run waits on purpose: a second between the two looks that settle a removal, quarter seconds while the servers agree.
Those pauses are safety and stay in the product. Here they are left out, so that what is measured is what it costs.
"""

from runbook.__main__ import main
from runbook.clock import SystemClock


def no_sleep(self: SystemClock, seconds: float) -> None:
    """Comes back at once."""


if __name__ == "__main__":
    SystemClock.sleep = no_sleep  # type: ignore[method-assign]
    main()
