"""Which signals stop a run."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from runbook.session.interrupts import SIGNALS, SignalInterrupts


@pytest.fixture(params=SIGNALS, ids=lambda number: number.name)
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    old = signal.getsignal(request.param)
    yield request.param
    signal.signal(request.param, old)


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN], ids=["heeded before", "ignored before"])
def test_every_signal_stops_a_run_but_one_that_was_ignored_before(
    number: signal.Signals, before: signal.Handlers
) -> None:
    """``nohup runbook execute`` outlives its terminal, and what a shell starts behind itself its Ctrl-C."""
    signal.signal(number, before)
    interrupts = SignalInterrupts()
    with interrupts.caught():
        os.kill(os.getpid(), number)
    assert interrupts.pending() is (before is not signal.SIG_IGN)
    assert signal.getsignal(number) is before


class Dropped:
    """A signal comes as it is forgotten, in code from which Python lets no exception out."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_that_python_swallows_is_kept_and_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """As in the locks of its own imports: it takes effect at the next place where it may."""
    interrupts, before = SignalInterrupts(), sys.unraisablehook
    with interrupts.caught():
        with interrupts.allowed():
            dropped = Dropped()
            del dropped
        assert interrupts.pending()
    assert (capsys.readouterr().err, sys.unraisablehook) == ("", before)
