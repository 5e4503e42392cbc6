"""The lock that hosts share, asked beside that of this host: what it refuses is not done, and both are given back."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.errors import RefusedError
from runbook.fleet.one_run import run_on_cluster
from runbook.raft.removal import Refusal
from tests.fleet.fakes import FakeFleet


class Far:
    """Refuses at one of its questions; ``told`` are those that it was asked."""

    def __init__(self, refuses: str = "") -> None:
        self.told: list[str] = []
        self._refuses = refuses

    def _asked(self, what: str) -> None:
        self.told.append(what)
        if what == self._refuses:
            raise RefusedError(Refusal("Locked" if what != "check_held" else "LockLost", f"far: {what}", "Wait"))

    def check_free(self, peers: frozenset[str]) -> None:
        assert peers
        self._asked("check_free")

    def acquire(self, peers: frozenset[str]) -> None:
        assert peers
        self._asked("acquire")

    def check_held(self) -> None:
        self._asked("check_held")

    def release(self) -> None:
        self._asked("release")


def played(fleet: FakeFleet, far: Far) -> tuple[str, int, list[str]]:
    with fleet.behind():
        clock = fleet.clusters["a"].clock
        result = run_on_cluster(fleet.request("a"), fleet.environment, clock, far_lock=far)
    return result.outcome, result.exit_code, fleet.changed


def test_it_is_held_before_the_change_and_given_back(tmp_path: Path) -> None:
    far = Far()
    assert played(FakeFleet(tmp_path / "fleet"), far) == ("completed", 0, ["a"])
    assert far.told.index("acquire") < far.told.index("check_held")
    assert (far.told[0], far.told[-1]) == ("check_free", "release")


@pytest.mark.parametrize(("question", "code"), [("check_free", 5), ("acquire", 5), ("check_held", 3)])
def test_what_it_refuses_is_not_done(tmp_path: Path, question: str, code: int) -> None:
    """And the next one who is let through finds this host's lock free."""
    fleet, far = FakeFleet(tmp_path / "fleet"), Far(question)
    assert played(fleet, far) == ("refused", code, [])
    assert far.told[-1] == "release"
    assert played(fleet, Far()) == ("completed", 0, ["a"])
