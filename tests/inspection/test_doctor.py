"""`runbook doctor`: each finding on a machine or a cluster that has it, and the words of the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from runbook.cluster.network import own_addresses
from runbook.inspection.findings import ClusterFacts, Grade, examine
from runbook.inspection.machine import MachineFacts, StateFolder, look_at_machine
from runbook.lab.simulated import SimulatedLab
from runbook.raft.model import ClusterView, Reach
from runbook.raft.opinions import Opinion, OpinionKind
from tests.command_line import runbook
from tests.raft.worlds import Kind, view_of

STATE = StateFolder("/var/lib/runbook", "", 10 * 1024**3)
WELL = MachineFacts("3.11.9", {"requests": "2.32.0"}, STATE, True, ("10.9.9.9",))
ADDRESSES = tuple(f"http://10.0.0.{number}:4646" for number in range(1, 4))
ALL_WELL = ClusterFacts(view_of([Kind()] * 3), addresses=ADDRESSES, permission="")


def one_door(*sights: str) -> ClusterView:
    """Only s1 answers; the leader hears the others."""
    view = view_of([Kind(), *(Kind(sight=sight) for sight in sights)])
    heard = {f"id-{number}": Opinion(OpinionKind.HEARD, "its pulse") for number in range(2, len(sights) + 2)}
    return replace(view, opinions={"id-1": heard})


def test_where_all_is_well_everything_is_ok() -> None:
    lines = examine(WELL, ALL_WELL)
    assert {line.grade for line in lines} == {Grade.OK}, lines
    assert [line.about for line in lines] == ["python", "runs", "clock", "cluster", "shape", "permission", "verdicts"]


def state(**changes: object) -> MachineFacts:
    return replace(WELL, state=replace(STATE, **changes))  # type: ignore[arg-type]


CASES: Mapping[str, tuple[MachineFacts, ClusterFacts, str, str]] = {
    "no place for runs": (state(trouble="this user may not write /var"), ALL_WELL, "bad runs", "RUNBOOK_STATE_DIR"),
    "a full disk": (state(free=1024**2), ALL_WELL, "warn runs", "1 MiB free. Make room"),
    "a run without an end": (
        state(unfinished=("20261126-a",)),
        ALL_WELL,
        "warn runs",
        "1 run without an end: 20261126-a",
    ),
    "a clock that drifts": (replace(WELL, clock=False), ALL_WELL, "warn clock", "it is not synchronized"),
    "a clock of which nobody knows": (replace(WELL, clock=None), ALL_WELL, "note clock", "cannot be told here"),
    "no cluster": (WELL, ClusterFacts(None, "two are set", "Say which"), "bad cluster", "two are set. Say which"),
    "no leader": (WELL, replace(ALL_WELL, view=view_of([Kind()] * 3, leader=None)), "bad cluster", "no leader"),
    "one door": (
        WELL,
        replace(ALL_WELL, view=one_door("accepts", "accepts"), addresses=ADDRESSES[:1]),
        "note shape",
        "one door: of 3 voters s1.global answer this host themselves",
    ),
    "a token that may not": (
        WELL,
        replace(ALL_WELL, permission="it needs operator:write"),
        "bad permission",
        "operator",
    ),
    "a token of which nobody knows": (WELL, replace(ALL_WELL, permission=None), "note permission", "cannot be asked"),
    "a blind host": (
        WELL,
        replace(ALL_WELL, view=one_door("refused", "accepts"), addresses=ADDRESSES[:1]),
        "warn verdicts",
        "should s2.global die tonight, nobody could tell it from here",
    ),
    "a blind host with hosts": (
        WELL,
        replace(ALL_WELL, view=one_door("refused", "accepts"), addresses=ADDRESSES[:1], hosts={"s2": ""}),
        "ok verdicts",
        "of s2.global their hosts tell",
    ),
    "a host that asks for a password": (
        WELL,
        replace(ALL_WELL, hosts={"s2": "sudo: a password is required"}),
        "warn hosts",
        "s2: sudo: a password is required",
    ),
    "hosts that are well": (WELL, replace(ALL_WELL, hosts={"s1": "", "s2": ""}), "ok hosts", "s1, s2 can be looked at"),
    "signatures that cannot be had": (
        WELL,
        replace(ALL_WELL, approvals="/srv is this user's alone"),
        "warn approvals",
        "this user's alone. Whatever changes this cluster needs their signatures",
    ),
    "signatures that can be had": (WELL, replace(ALL_WELL, approvals=""), "ok approvals", "can give them here"),
    "DNS of the cluster": (
        replace(WELL, resolvers=("10.0.0.2",)),
        replace(ALL_WELL, addresses=("http://nomad.example:4646",)),
        "bad circle",
        "DNS is asked of s2.global, servers of this cluster, and nomad.example needs it",
    ),
    "Consul resolves itself": (
        WELL,
        replace(ALL_WELL, addresses=("http://consul.service.consul:8500",)),
        "bad circle",
        "is resolved by Consul itself. Give IP addresses",
    ),
    "a name": (WELL, replace(ALL_WELL, addresses=("http://nomad.example:4646",)), "note circle", "needs DNS tonight"),
    "credentials in itself": (
        WELL,
        replace(ALL_WELL, token_from="https://10.0.0.2:8200"),
        "bad circle",
        "the credentials are kept in https://10.0.0.2:8200, in the cluster that is to be recovered",
    ),
    "this host is a server": (
        WELL,
        replace(ALL_WELL, own=frozenset({"10.0.0.3"})),
        "warn circle",
        "this host is s3.global: a run here dies with it",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_finding_has_its_grade_and_its_words(case: str) -> None:
    machine, cluster, kind, words = CASES[case]
    told = [
        (f"{line.grade.value} {line.about}", f"{line.sentence}. {line.next_action}")
        for line in examine(machine, cluster)
    ]
    assert [text for each, text in told if each == kind and words in text], told


def test_an_address_that_does_not_answer_is_named() -> None:
    view = ALL_WELL.view
    assert view is not None
    mute = replace(view.vantages[2], reach=Reach.REFUSED, server_id=None, trouble="nothing listens there")
    facts = replace(ALL_WELL, view=replace(view, vantages=(*view.vantages[:2], mute)))
    assert any(
        "http://10.0.0.3:4646 does not answer: nothing listens there" in line.sentence for line in examine(WELL, facts)
    )


def test_a_machine_is_looked_at_and_never_written_to(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("# one\nnameserver 10.0.0.2\noptions x\nnameserver ::1\n")
    facts = look_at_machine({"RUNBOOK_STATE_DIR": str(tmp_path / "none")}, tmp_path / "resolv.conf")
    assert (facts.resolvers, facts.state.trouble, facts.state.unfinished) == (("10.0.0.2", "::1"), "", ())
    assert facts.state.free > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["resolv.conf"]
    (tmp_path / "file").write_text("")
    assert "is no folder" in look_at_machine({"RUNBOOK_STATE_DIR": str(tmp_path / "file")}).state.trouble


def test_which_addresses_are_this_machines() -> None:
    assert own_addresses(["127.0.0.1", "192.0.2.1", "no address"]) == {"127.0.0.1"}


def test_at_the_command_line(tmp_path: Path) -> None:
    """In the lab every server's address is this machine's, so something is to be said; without a cluster it is bad."""
    with SimulatedLab(3, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        environment = {**os.environ, "NOMAD_ADDR": lab.addresses[0], "RUNBOOK_STATE_DIR": str(tmp_path / "state")}
        done = runbook(environment, "doctor", "--format", "json")
        lines = {row["about"]: row for row in json.loads(done.stdout)}
        assert (done.returncode, lines["shape"]["grade"], lines["cluster"]["grade"]) == (1, "ok", "ok"), done.stdout
        assert "this host is s1.global, s2.global, s3.global" in lines["circle"]["sentence"]
        assert [request for request in lab.requests if request.changes] == []
        entry = f"{{ kind: nomad, addresses: ['{lab.addresses[0]}'], approve: {{ by: {tmp_path}/signers }} }}"
        (tmp_path / "clusters.yaml").write_text(f"inventory: 1\nclusters: {{ dev: {entry} }}\n", encoding="utf-8")

        def approvals() -> str:
            done = runbook(environment, "doctor", "--format", "json", "--cluster", "dev", "--inventory",
                           f"{tmp_path}/clusters.yaml")  # fmt: skip
            (row,) = (row for row in json.loads(done.stdout) if row["about"] == "approvals")
            return f"{row['grade']}: {row['sentence']}"

        assert "warn: the allowed signers" in approvals()
        (tmp_path / "signers").touch(0o644)
        assert approvals() == f"warn: {tmp_path}/state is this user's alone, so nobody else can put a signature there"
        (tmp_path / "state").mkdir()
        (tmp_path / "state").chmod(0o2770)
        assert approvals().startswith("ok: those whose signatures")
    done = runbook({**os.environ, "NOMAD_ADDR": "http://127.0.0.1:1"}, "doctor")
    assert (done.returncode, done.stderr) == (1, "")
    assert "bad   cluster     GET http://127.0.0.1:1" in done.stdout
