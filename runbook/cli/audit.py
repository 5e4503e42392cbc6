"""``runbook audit``: whether a run's record is what was written, and against what that protects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from runbook.cli.output import Output
from runbook.exit_codes import FAILED, RECOVERED
from runbook.raft.diagnosis.findings import format_count
from runbook.report.summary import LABEL_WIDTH
from runbook.session.audit import Audit, audit_run
from runbook.session.evidence import EVIDENCE
from runbook.session.journal_signature import GOOD, OLDER, STRANGER, UNSIGNED

PROVES = """\
This finds what a disk, a crash or a careless hand did to the record. Whoever may write its folder can also write all \
of it anew, and lines that are cut off at its end leave no trace."""
KEEP = """\
So keep the head where they cannot write (a ticket, a mail): `runbook audit {run} --head {head}` then finds both."""
KEPT = """\
The head was kept elsewhere, so nobody has changed, added or taken away anything up to its event. Of what follows, and \
of whether what the run wrote is true, this proves nothing."""

SIGNED = """\
The head was signed as a process of the run ended, so nobody without that key has changed or added anything. What a \
later process wrote and signed anew can be taken away with its signature: keep the head elsewhere, too. Whoever has \
the key can write all of it anew, and of whether what the run wrote is true, this proves nothing."""
SIGNATURE_CODES = {UNSIGNED: 3, STRANGER: 4, OLDER: 5}


def print_audit(folder: Path, kept_head: str | None, form: str, signers: str, signer: str | None) -> int:
    """Say what was found. Returns the exit code."""
    audit, output = audit_run(folder, kept_head, signers, signer), Output()
    if form == "json":
        output.json({**asdict(audit), "holds": audit.holds}, indent=2)
    else:
        output.lines(format_audit(audit), indent=LABEL_WIDTH)
    if not audit.holds:
        return FAILED
    return SIGNATURE_CODES.get(audit.signature.worth, RECOVERED) if audit.signature else RECOVERED


def format_audit(audit: Audit) -> Iterator[str]:
    """A line for each thing that was verified, and what it is worth."""
    yield _labelled("run", audit.run)
    count = format_count(audit.events, "event")
    chain = f"{count}, each with its own hash and that of the one before"
    yield _labelled("journal", f"DOES NOT HOLD ({count} read): {audit.trouble}" if audit.trouble else chain)
    signature = audit.signature.sentence if audit.signature else ""
    yield from (_labelled(label, text) for label, text in (("head", audit.head), ("signature", signature)) if text)
    if audit.later is not None:
        yield _labelled("kept head", f"that of event {audit.events - audit.later}; {audit.later} follow")
    if audit.state:
        yield _labelled("ended", _ending(audit))
    if audit.torn_bytes:
        yield _labelled("cut off", f"{audit.torn_bytes} bytes of a last line: a crash, or it is being written just now")
    if audit.cut_off:
        yield _labelled(
            "cut off", f"{format_count(audit.cut_off, 'torn line')}, by a process that went on with the run"
        )
    whole = [file for file in audit.files if file.name.startswith(f"{EVIDENCE}/") and not file.trouble]
    for file in audit.files:
        if file not in whole:
            yield _labelled("file", f"{file.name} {file.trouble or 'is unchanged'}")
    if whole:
        yield _labelled("evidence", f"{format_count(len(whole), 'file')} of replies, unchanged")
    if audit.not_covered:
        yield _labelled("not covered", f"{', '.join(audit.not_covered)}: no digest is on record")
    yield ""
    yield from _worth(audit)


def _ending(audit: Audit) -> str:
    if audit.state == "running":
        return "no: it is at work, it was killed, or its end was cut off"
    return audit.state


def _worth(audit: Audit) -> Iterator[str]:
    if not audit.holds:
        yield "DO NOT RELY ON THIS RECORD"
    elif audit.signature is not None and audit.signature.worth == GOOD:
        yield SIGNED
    elif audit.later is not None:
        yield KEPT
    else:
        yield PROVES
        yield KEEP.format(run=audit.run, head=audit.head)


def _labelled(label: str, text: str) -> str:
    return f"{label:<{LABEL_WIDTH}}{text}"
