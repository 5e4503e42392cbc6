"""Whether the record of a run is still what was written: its chain of hashes, and the files whose digests are in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from runbook.dataclass import dataclass
from runbook.errors import JournalError, NotStartedError, TransitionError
from runbook.files import sha256_of
from runbook.journal.store import Record, read
from runbook.recorded import fold_recorded
from runbook.report.summary import kept_files
from runbook.run_state import RunState
from runbook.session.evidence import evidence_files
from runbook.session.interrupts import PROCESS
from runbook.session.journal_signature import BAD, SIGNATURE, Signed, verify_signature
from runbook.session.run_folders import JOURNAL, PLAN, PLAYBOOK

MOST_FILES = 10_000  # that are looked for in the folder of a run


@dataclass(frozen=True)
class FileCheck:
    """One file beside its digest on record. ``trouble`` says why it is not what was kept; empty where it is."""

    name: str
    trouble: str = ""


@dataclass(frozen=True)
class Audit:
    """What was found in the record of this run.

    ``events`` have been read, the last of which has the hash ``head``; ``trouble`` says where the journal does not
    hold. ``state`` is how the run ended. ``torn_bytes`` are those of a last line that is not whole, ``cut_off`` counts
    such lines that a resumed run took away. ``later`` events follow the one whose hash was kept elsewhere; None where
    none was given. Of ``not_covered``, files of the folder, the journal has no digest. ``signature`` is what was found
    of it, where the allowed signers were given.
    """

    run: str
    events: int
    head: str = ""
    state: str = ""
    trouble: str = ""
    torn_bytes: int = 0
    cut_off: int = 0
    later: int | None = None
    files: tuple[FileCheck, ...] = ()
    not_covered: tuple[str, ...] = ()
    signature: Signed | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against the record."""
        is_bad = self.signature is not None and self.signature.worth == BAD
        return not (self.trouble or is_bad) and not any(file.trouble for file in self.files)


def audit_run(folder: Path, kept_head: str | None = None, signers: str = "", signer: str | None = None) -> Audit:
    """Read all of it back. ``kept_head`` is a hash that was kept elsewhere: some event must have it.

    With a file of allowed ``signers`` the journal's signature is verified. Raises as :func:`verify_signature`.
    """
    path = folder / JOURNAL
    try:
        record = read(path)
    except JournalError as error:
        return Audit(folder.name, len(error.before), trouble=str(error))
    except OSError as error:
        return Audit(folder.name, 0, trouble=f"{path}: {error.strerror}")
    audit = Audit(folder.name, len(record.events), record.head, torn_bytes=record.torn_bytes)
    try:
        state = fold_recorded(record.events)
    except TransitionError as error:
        return replace(audit, trouble=f"{path}: {error}")
    kept = (_check(folder, name, digest) for name, digest in evidence_files(record.events).items())
    checks = (*check_files(folder, state), *kept)
    return replace(
        audit,
        state=state.state,
        trouble=_of_no_such_run(folder, state) or _not_kept(record, kept_head),
        cut_off=sum(event["kind"] == "run.resumed" and event["torn"] for event in record.events),
        later=_events_after(record, kept_head),
        files=checks,
        not_covered=_not_covered(folder, checks),
        signature=verify_signature(folder, record, signers, signer) if signers else None,
    )


def check_files(folder: Path, state: RunState) -> Iterator[FileCheck]:
    """The copy of the playbook, and every file that is evidence."""
    if state.started is None:
        return
    yield _check(folder, PLAYBOOK, str(state.started["digest"]))
    if state.started.get("plan"):
        yield _check_plan(folder / PLAN, str(state.started["plan"].get("digest")))
    for kept, digest in kept_files(state).items():
        yield _check(folder, str(kept), digest)


def _check(folder: Path, name: str, digest: str) -> FileCheck:
    try:
        now = sha256_of(folder / name)
    except OSError as error:
        return FileCheck(name, f"cannot be verified: {error.strerror}")
    except ValueError:  # a NUL in it, or half a character
        return FileCheck(name, "cannot be verified: no file has such a name")
    return FileCheck(name, "" if now == digest else f"HAS CHANGED since it was kept: SHA-256 {now}")


def _check_plan(path: Path, digest: str) -> FileCheck:
    """Its digest is not that of its bytes, and stands in the file."""
    from runbook.session.saved_plans import load_plan

    try:
        now = load_plan(path).plan.digest
    except NotStartedError as error:
        return FileCheck(PLAN, f"cannot be verified: {error.sentence}")
    return FileCheck(PLAN, "" if now == digest else f"HAS CHANGED since it was kept: it is the plan {now}")


def _of_no_such_run(folder: Path, state: RunState) -> str:
    """A whole journal in the place of another one is no record of this run, nor is an empty one."""
    if state.started is None:
        return f"{folder / JOURNAL} has no beginning: the run died before its first event, or all was cut off"
    run = state.started["run"]
    return "" if run == folder.name else f"{folder / JOURNAL} is that of another run, {run}"


def _events_after(record: Record, kept_head: str | None) -> int | None:
    return len(record.hashes) - 1 - record.hashes.index(kept_head) if kept_head in record.hashes else None


def _not_kept(record: Record, kept_head: str | None) -> str:
    if kept_head is None or kept_head in record.hashes:
        return ""
    return "no event has the hash that was kept: what it stood for was cut off, or all was written anew"


def _not_covered(folder: Path, checks: tuple[FileCheck, ...]) -> tuple[str, ...]:
    """By their paths in the folder. Raises nothing: what cannot be listed was not covered either."""
    covered = {JOURNAL, SIGNATURE, PROCESS, *(check.name for check in checks)}
    found = (str((Path(at) / name).relative_to(folder)) for at, _, names in os.walk(folder) for name in names)
    return tuple(sorted(name for name in islice(found, MOST_FILES) if name not in covered))
