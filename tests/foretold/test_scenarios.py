"""I14 in every scenario that is shipped: what a dry run foretells there is what the rehearsal then comes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from runbook.cli.rehearse import read_scenario
from runbook.exit_codes import exit_code_of_ending
from runbook.lab.virtual.world import RehearsedWorld
from runbook.redaction import Redactor
from runbook.session.open_run import RunRequest
from runbook.session.rehearsal import Rehearsed, rehearse
from runbook.session.run_session import EventWriter, RunOptions, RunSession
from runbook.shipped_playbooks import SCENARIOS, shipped_names, shipped_path
from runbook.simulation.scenario import Scenario
from tests.command_line import PLAYBOOK
from tests.foretold.compared import ENDS, different_ends

LOSE = ("lose_requests", "lose_replies")  # befall the change itself, which no look shows beforehand
NAMES = tuple(shipped_names(SCENARIOS))


def moves(name: str) -> bool:
    """Whether something befalls it after the start, or at a removal, which is nothing that a look could show."""
    scenario = read_scenario(shipped_path(name, SCENARIOS))
    return any(
        fault.kind.word in LOSE or fault.at + (fault.lasts or 0.0) >= scenario.starts_at for fault in scenario.faults
    )


STANDS = [name for name in NAMES if not moves(name)]


def play(scenario: Scenario, *, dry_run: bool) -> tuple[Rehearsed, list[Mapping[str, Any]]]:
    records: list[Mapping[str, Any]] = []

    @contextmanager
    def writing(_session: RunSession) -> Iterator[EventWriter]:
        yield records.append

    request = RunRequest(PLAYBOOK, scenario.params, options=RunOptions(dry_run=dry_run))
    return rehearse(request, RehearsedWorld(scenario), scenario.starts_at, {}, Redactor(), writing), records


@pytest.mark.parametrize("name", STANDS)
def test_what_is_foretold_in_a_scenario_is_what_happens(name: str) -> None:
    scenario = read_scenario(shipped_path(name, SCENARIOS))
    foretold, dry = play(scenario, dry_run=True)
    happened, real = play(scenario, dry_run=False)
    ends = [{record["step"]: record for record in records if record["kind"] in ENDS} for records in (dry, real)]
    assert list(ends[0]) == list(ends[1])
    for step, mine in ends[0].items():
        theirs = ends[1][step]
        if mine["label"] != "unknown":
            told = [(end["kind"], end.get("outcome"), end.get("code")) for end in (mine, theirs)]
            assert told[0] == told[1], (step, mine, theirs)
    assert list(different_ends(foretold.ending, happened.ending)) == []
    assert exit_code_of_ending(foretold.ending) == exit_code_of_ending(happened.ending)
    assert foretold.state.foreseen is not None
    listed = sorted(peer["name"] for peer in foretold.state.foreseen["peers"] if peer["voter"])
    assert not listed or listed == [f"{voter}.global" for voter in happened.voters], happened.voters


def test_only_what_moves_by_itself_is_left_out() -> None:
    assert len(STANDS) > len(NAMES) / 2, sorted({*NAMES} - {*STANDS})
