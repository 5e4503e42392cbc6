"""What a dry run and a rehearsal may not do, held at the doors to the network, to programs and to files: whoever
forgets that it is one is stopped there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar, copy_context
from enum import Enum
from typing import TYPE_CHECKING

from runbook.dataclass import dataclass
from runbook.errors import unexpected

if TYPE_CHECKING:
    from pathlib import Path


class Purpose(Enum):
    """What a program is started for."""

    LOOK = "look"  # a script of ours that looks at a host
    READ = "read"  # what the playbook says that it only reads
    CHANGE = "change"  # anything else


@dataclass(frozen=True)
class _DryRun:
    folder: Path
    run_reads: bool


_CURRENT: ContextVar[_DryRun | None] = ContextVar("dry run", default=None)


_REHEARSAL: ContextVar[Path | None] = ContextVar("rehearsal", default=None)


@contextlib.contextmanager
def shut_for_rehearsal(folder: Path) -> Iterator[None]:
    """Inside nothing leaves this process, by this thread and those that it gives work to: no connection is opened, no
    program is started, and files are written in ``folder`` alone.
    """
    token = _REHEARSAL.set(folder.resolve())
    try:
        yield
    finally:
        _REHEARSAL.reset(token)


@contextlib.contextmanager
def shut_for_dry_run(folder: Path, *, run_reads: bool) -> Iterator[None]:
    """Inside nothing is changed, by this thread and those that it gives work to. It may write into ``folder``; programs
    and requests of the playbook that only read pass where ``run_reads`` is true.
    """
    token = _CURRENT.set(_DryRun(folder.resolve(), run_reads))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def with_doors(task: Callable[[], None]) -> Callable[[], None]:
    """The task for another thread, behind the same doors."""
    context = copy_context()
    return lambda: context.run(task)


def is_dry_run() -> bool:
    return _CURRENT.get() is not None


def check_network(what: str) -> None:
    """Before a connection to anybody, the cluster too. Raises StepError."""
    if _REHEARSAL.get() is not None:
        raise unexpected(f"a rehearsal has no network: it does not {what}")


def check_foreign(what: str, *, reads: bool) -> None:
    """Before a request to whatever is not the cluster. Raises StepError."""
    check_network(f"send {what}")
    dry = _CURRENT.get()
    if dry is not None and not (reads and dry.run_reads):
        raise unexpected(f"a dry run does not send {what}")


def check_program(argv: Sequence[str], purpose: Purpose) -> None:
    """Before a program is started. Raises StepError."""
    if _REHEARSAL.get() is not None:
        raise unexpected(f"a rehearsal does not start {argv[0] if argv else 'a program'}")
    dry = _CURRENT.get()
    if dry is None or purpose is Purpose.LOOK or (purpose is Purpose.READ and dry.run_reads):
        return
    raise unexpected(f"a dry run does not start {argv[0] if argv else 'a program'}")


def check_file(path: Path) -> None:
    """Before a file or folder is made, replaced or deleted. Raises StepError."""
    dry, rehearsed = _CURRENT.get(), _REHEARSAL.get()
    for who, folder in (("a rehearsal", rehearsed), ("a dry run", dry.folder if dry else None)):
        if folder is not None and folder not in (resolved := path.absolute().parent.resolve() / path.name).parents:
            raise unexpected(f"{who} writes nothing outside of its own folder: {resolved}")
