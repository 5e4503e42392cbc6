"""I14 on real servers: one of five is dead, and what a dry run foretells stands beside what then happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.contract import test_etcd, test_recovery
from tests.contract.test_recovery import Outcome, execute, labs

ETCD = pytest.param(("etcd", 5), marks=pytest.mark.etcd, id="etcd")
ENDS = ("step.completed", "step.failed", "step.skipped")
lab = test_recovery.lab


def ends(outcome: Outcome) -> list[tuple[str, str]]:
    return [(event["step"], event["kind"][5:]) for event in outcome.events if event["kind"] in ENDS]


def outputs(outcome: Outcome) -> dict[str, Any]:
    """The results that are of no moment: a snapshot of the state has another digest each time."""
    kept = {event["step"]: event["output"] for event in outcome.events if event["kind"] == "step.completed"}
    moment = ("path", "sha256", "state_path", "state_sha256")
    return {step: {key: each for key, each in output.items() if key not in moment} for step, output in kept.items()}


@pytest.mark.parametrize("lab", [*labs(5), ETCD], indirect=True)
def test_what_a_dry_run_foretells_is_what_happens(lab: Any, tmp_path: Path) -> None:
    """Every step, every result, the removal, the numbers, the configuration and the exit code; and it takes seconds."""
    state, quick = tmp_path / "runs", test_etcd.QUICK if lab.layout.kind == "etcd" else ()
    dead = test_recovery.followers(lab)[0]
    lab.kill(dead)
    lab.wait_for_gossip(dead, "failed")
    foretold = execute(lab, state, *quick, "--dry-run", "--param", "watch_for=70s")
    changes = test_etcd.changes_received if lab.layout.kind == "etcd" else test_recovery.changes_received
    assert changes(lab) == []
    happened = execute(lab, state, *quick)
    for step, how in ends(happened):
        print(f"{step:9} real {how:9} {outputs(happened)[step]}\n{'':9} fore {how:9} {outputs(foretold)[step]}")
    for step, output in outputs(happened).items():
        assert outputs(foretold)[step] == output
    assert (foretold.code, ends(foretold)) == (happened.code, ends(happened))
    assert happened.asked == [dead]
    (end,) = [event for event in foretold.events if event["kind"] == "shadow.ended"]
    members = {peer["id"] for event in happened.events if event["step" if "step" in event else "kind"] == "before"
               and event["kind"] == "step.completed" for peer in event["output"]["peers"]}  # fmt: skip
    removed = {event["peer"] for event in happened.events if event["kind"] == "removal.confirmed"}
    assert {peer["id"] for peer in end["peers"]} == members - removed
    assert end["seconds"] > 70
    assert end["counts"]["unknown"] == 0
