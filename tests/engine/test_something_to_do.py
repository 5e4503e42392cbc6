"""How a run ends that removes servers where there are dead ones, and had another change to make."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.events import RunCompleted
from tests.engine.test_transfer import run_of

FIND = "  - id: dead\n    uses: raft.find_dead\n"
REMOVE = "  - uses: raft.remove_peer\n    for_each: dead.peers\n    with: { peer: '${{ item.id }}' }\n"


@pytest.mark.parametrize(
    ("to", "dry_run", "message"),
    [
        ("s2", False, "done"),
        ("s2", True, "done, as a dry run: nothing was changed"),
        ("s1", False, "nothing to do"),
        ("s1", True, "nothing to do"),
    ],
)
def test_nothing_to_do_is_said_only_where_nothing_was_changed(
    to: str, dry_run: bool, message: str, tmp_path: Path
) -> None:
    ending = run_of(tmp_path, to=to, first=FIND, more=REMOVE).execute(dry_run=dry_run)
    assert isinstance(ending, RunCompleted), ending
    assert ending.message == message
