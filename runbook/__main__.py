"""``python -m runbook`` and the command ``runbook``."""

import os
import signal
import sys
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130


def main() -> None:
    """Start the command line, as fast as it can be: at 3 a.m. start-up is felt."""
    _keep_streams_taken()
    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # else: under nohup
    for number in heeded:
        signal.signal(number, _end)  # nothing is begun yet, so nothing is to be said
    import gc

    gc.disable()  # all that is imported stays, so to look through it for garbage time and again is for nothing
    from runbook.cli.main import main as command_line

    gc.freeze()
    gc.enable()
    try:
        for number in heeded:
            signal.signal(number, signal.default_int_handler)  # a verb is ended by each of them in the same way
        command_line()
    except KeyboardInterrupt:  # while an earlier one was told
        sys.exit(INTERRUPTED)
    finally:
        for number in heeded:
            signal.signal(number, signal.SIG_IGN)  # all is said: the exit code is what it is


def _keep_streams_taken() -> None:
    """Else the next file that is opened would be stdout, and whoever prints would write into it."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
