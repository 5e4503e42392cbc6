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
    _end_at(heeded, INTERRUPTED)  # nothing is begun yet, so nothing is to be said
    import gc

    gc.disable()  # all that is imported stays, so to look through it for garbage time and again is for nothing
    from runbook.cli.main import main as command_line

    gc.freeze()
    gc.enable()
    code = INTERRUPTED
    try:
        for number in heeded:
            signal.signal(number, signal.default_int_handler)  # a verb is ended by each of them in the same way
        command_line()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        raise
    except KeyboardInterrupt:  # while an earlier one was told
        sys.exit(code)
    finally:
        _end_at(heeded, code)  # all is said, and Python's own end would print a traceback


def _keep_streams_taken() -> None:
    """Else the next file that is opened would be stdout, and whoever prints would write into it."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)


def _end_at(numbers: list[signal.Signals], code: int) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        os._exit(code)

    for number in numbers:
        signal.signal(number, end)


if __name__ == "__main__":
    main()
