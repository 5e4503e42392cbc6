"""Lines of shell that the commands of every recovery are made of, for somebody who pastes them on a host."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from runbook.raft.lost_quorum_plan import LeftOut, RecoveryPlan

UNKNOWN_FOLDER = "FILL-IN-THE-DATA-FOLDER"


def heading(text: str) -> list[str]:
    """A comment that begins a part."""
    return [f"# ---- {text}"]


def folder(plan: RecoveryPlan, data_dir: str | None) -> Iterator[str]:
    """The data folder and the Raft folder as variables; it stops where there is none."""
    yield f"data={shlex.quote(data_dir or UNKNOWN_FOLDER)}"
    yield f'raft="$data"/{plan.files.raft}'
    yield check('[ -d "$raft" ]', "there is no such Raft folder")


def check(condition: str, otherwise: str) -> str:
    """A line that stops the part where the condition does not hold."""
    return f"{condition} || {{ echo {shlex.quote(otherwise)} >&2; exit 1; }}"


def stop(unit: str) -> Iterator[str]:
    """Stop the service, and stop the part where it still runs."""
    yield f"systemctl stop {shlex.quote(unit)}"
    yield f"if systemctl is-active --quiet {shlex.quote(unit)}; then echo 'it still runs' >&2; exit 1; fi"


def fence(plan: RecoveryPlan, left_out: LeftOut, unit: str) -> Iterator[str]:
    """It may join anew afterwards, with an empty Raft folder."""
    peer = left_out.peer
    yield f"# on {peer.label} ({peer.address})"
    if not left_out.may_return:
        yield "# nothing: it is fenced already"
        return
    folders = {one.data_dir for one in plan.survivors}
    yield "sudo sh -eu <<'FENCE'"
    yield f"systemctl disable --now {shlex.quote(unit)}"
    yield from folder(plan, folders.pop() if len(folders) == 1 else None)
    old = '"$raft"' if plan.files.copied else '"$data"'
    yield f'mv {old} {old[:-1]}.left-out"'
    yield f"echo {shlex.quote(f'{peer.label}: fenced')}"
    yield "FENCE"
