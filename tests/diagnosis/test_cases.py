"""Every named situation: which findings one view leads to, and what a person reads. See README.md beside this file."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.diagnosis.findings import Certainty, Finding, Severity
from runbook.raft.diagnosis.server_checks import SENTENCES
from runbook.raft.diagnosis.upkeep import Upkeep
from runbook.raft.left_out import NOBODY, LeftOutList, LeftOutServer
from runbook.raft.liveness import judge_once
from runbook.raft.model import ClusterView, Reach
from runbook.raft.serialization import view_from_dict, view_to_dict
from runbook.report.diagnosis import WIDTH, format_diagnosis
from runbook.shipped_playbooks import shipped_names

HERE = Path(__file__).parent
TRANSCRIPTS = HERE.parent / "transcripts" / "diagnose"
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "diagnoses.md"

FIRST = {  # case: what must be named first, by hand, so that a rewrite of the golden files cannot hide a change of mind
    "all_is_well": "Healthy certain",
    "a_follower_died": "DeadFollower likely",
    "a_follower_was_killed_a_moment_ago": "DeadFollower possible",
    "the_leaders_own_gossip_cannot_be_read": "DeadFollower possible",
    "the_leader_died_and_no_other_is_elected_yet": "DeadLeader likely",
    "the_leader_died_and_one_server_has_not_heard_of_the_next": "DeadLeader likely",
    "two_of_five_are_dead": "QuorumAtRisk certain",
    "one_of_three_is_dead": "QuorumAtRisk certain",
    "three_of_five_are_dead": "QuorumLostTransient likely",
    "two_of_five_are_dead_and_one_hangs": "QuorumLostTransient likely",
    "an_election_is_under_way": "QuorumLostTransient likely",
    "quorum_was_lost_and_the_leader_has_not_noticed": "QuorumLostTransient likely",
    "three_of_five_are_gone_and_no_gossip_remembers_them": "QuorumLostTransient likely",
    "we_are_on_the_minority_side_of_a_cut": "MinorityPartition likely",
    "this_host_reaches_one_of_five_and_there_is_a_leader": "Unreachable possible",
    "the_servers_are_parted_and_this_host_sees_both_sides": "ObserversDisagree certain",
    "only_this_host_hears_nothing_of_a_server": "ObserversDisagree possible",
    "two_servers_call_themselves_leader": "ObserversDisagree certain",
    "a_voter_is_a_thousand_entries_behind": "LaggingVoter likely",
    "autopilot_calls_a_living_voter_unhealthy": "LaggingVoter possible",
    "autopilot_calls_a_living_voter_unhealthy_beside_a_dead_one": "DeadFollower likely",
    "a_server_is_frozen": "HungServer likely",
    "a_servers_certificate_has_expired": "Unreachable likely",
    "a_server_crashes_and_is_started_again": "CrashLooping likely",
    "one_http_api_is_out_of_reach": "Unreachable possible",
    "a_removed_server_was_added_back_as_a_non_voter": "ZombiePeer certain",
    "a_removed_server_is_alive_in_gossip": "ZombiePeer certain",
    "a_server_is_alive_in_gossip_and_nobody_knows_who_removed_it": "ZombiePeer likely",
    "a_newcomer_is_on_its_way_in": "EvenVoters certain",
    "a_newcomer_has_no_vote_yet": "NonVoterStuck possible",
    "autopilots_settings_were_zeroed": "AutopilotZeroed certain",
    "a_certificate_expires_soon": "CertificateExpires certain",
    "the_clock_of_this_host_is_wrong": "ClockDrift certain",
    "the_clock_of_a_server_is_wrong": "ClockDrift certain",
    "a_peers_json_was_left_behind": "PeersJsonLeft certain",
    "the_newest_snapshot_is_old": "SnapshotOld certain",
    "autopilots_clean_up_is_off": "CleanUpOff certain",
    "a_dead_server_was_added_back_as_a_non_voter": "NonVoterStuck likely",
    "no_gossip_knows_a_voter": "StalePeer likely",
    "one_address_is_listed_for_two_servers": "DuplicateAddress certain",
    "a_server_came_back_with_an_empty_disk": "DuplicateName likely",
    "a_machine_was_cloned_with_its_id": "DuplicateName certain",
    "a_server_was_renamed": "DuplicateName possible",
    "four_voters_answer": "EvenVoters certain",
    "an_unfinished_removal_bars_every_election": "ConfigurationDivergence certain",
    "a_server_has_not_yet_received_the_newest_configuration": "ConfigurationDivergence certain",
    "the_token_is_refused_by_all": "Forbidden certain",
    "one_server_refuses_the_token": "Forbidden certain",
    "two_servers_answer_at_one_address": "SharedAddress certain",
    "nobody_answers": "Unreachable certain",
    "a_sealed_server_waits_for_its_key": "SealedServer certain",
    "one_server_is_sealed_and_one_is_frozen": "QuorumAtRisk likely",
    "three_of_five_are_sealed": "QuorumLostTransient likely",
    "every_server_is_sealed": "SealedServer certain",
    "a_server_without_data_runs_at_a_voters_address": "EmptyServer certain",
    "a_removed_server_runs_on_outside": "ZombiePeer likely",
    "a_server_left_out_of_a_recovery_is_back": "LeftOutReturned certain",
    "a_server_left_out_is_back_in_gossip": "LeftOutReturned certain",
    "a_server_left_out_is_back_beside_a_dead_one": "LeftOutReturned certain",
    "a_server_left_out_was_replaced": "LeftOutReplaced certain",
    "a_list_of_servers_left_out_cannot_be_read": "LeftOutUnread certain",
}
CASES = sorted(path.parent.name for path in HERE.glob("*/view.json"))


def view_of(case: str) -> ClusterView:
    return view_from_dict(json.loads((HERE / case / "view.json").read_text(encoding="utf-8")))


def removed_of(case: str) -> list[str]:
    path = HERE / case / "removed.json"
    removed: list[str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return removed


def earlier_of(case: str) -> list[ClusterView]:
    """What was seen before, where a situation needs more than one look: tries of ports."""
    path = HERE / case / "earlier.json"
    looks = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return [
        ClusterView(
            "nomad:x", look["taken_at"], None, None, (), {at: Reach(word) for at, word in look["probes"].items()}
        )
        for look in looks
    ]


def left_out_of(case: str) -> LeftOutList:
    path = HERE / case / "left_out.json"
    if not path.exists():
        return NOBODY
    told = json.loads(path.read_text(encoding="utf-8"))
    return LeftOutList(tuple(LeftOutServer(**row) for row in told["servers"]), tuple(told["unread"]))


def upkeep_of(case: str) -> Upkeep:
    """What the machine that looks shows of the cluster's upkeep."""
    path = HERE / case / "upkeep.json"
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return Upkeep(**{**told, "peers_json": tuple(told.get("peers_json", ()))})


def findings_of(case: str) -> tuple[Finding, ...]:
    beside = {"removed": removed_of(case), "earlier": earlier_of(case), "left_out": left_out_of(case)}
    return diagnose(view_of(case), upkeep=upkeep_of(case), **beside)  # type: ignore[arg-type]  # each has its own type


def names_in_the_code() -> set[str]:
    """What the first argument of a ``Finding`` may be, wherever one is made."""
    found = set(SENTENCES)
    for path in (ROOT / "runbook" / "raft" / "diagnosis").glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Finding":
                found |= {each.value for each in ast.walk(call.args[0]) if isinstance(each, ast.Constant)}
    return {name for name in found if isinstance(name, str) and name[0].isupper()}


def compare(path: Path, text: str, rewrite: bool) -> None:
    if rewrite:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_a_situation_has_its_findings(case: str, rewrite: bool) -> None:
    """Name, severity, certainty, servers, evidence and next move, exactly, worst first."""
    told = json.dumps([finding.record() for finding in findings_of(case)], indent=1, ensure_ascii=False)
    compare(HERE / case / "expected.json", told + "\n", rewrite)


def test_a_name_forges_nothing() -> None:
    """I17: a name in gossip is whatever its owner typed; it moves no cursor and begins no line."""
    text = json.dumps(view_to_dict(view_of("a_follower_died"))).replace("s2.global", "s2\\u001b[2J\\r\\n  alive")
    view = view_from_dict(json.loads(text))
    lines = format_diagnosis(view, diagnose(view))
    assert "s2" in "".join(lines)
    assert not {"\x1b", "\r", "\n"} & set("".join(lines))


@pytest.mark.parametrize("case", CASES)
def test_a_situation_reads_like_this(case: str, rewrite: bool) -> None:
    """The transcript a person sees (Must show 7), within a hundred columns."""
    lines = format_diagnosis(view_of(case), findings_of(case))
    assert max(map(len, format_diagnosis(view_of(case), findings_of(case), 79))) < 80, "on a terminal of eighty"
    compare(TRANSCRIPTS / f"{case}.txt", "\n".join(["$ runbook diagnose", *lines]).rstrip() + "\n", rewrite)
    assert [line for line in lines if len(line) > WIDTH] == []


@pytest.mark.parametrize("case", CASES)
def test_the_worst_comes_first(case: str) -> None:
    first = findings_of(case)[0]
    assert f"{first.name} {first.certainty.value}" == FIRST[case]


@pytest.mark.parametrize("case", CASES)
def test_a_finding_is_whole(case: str) -> None:
    """At least one; each with evidence and a next move; only playbooks that exist, and none without quorum."""
    found = findings_of(case)
    assert found
    for finding in found:
        assert finding.evidence
        assert all(finding.evidence)
        assert finding.next_action
        assert finding.playbook is None or finding.playbook in shipped_names()
    if view_of(case).leader_id is None:
        assert {finding.playbook for finding in found} == {None}
    severities = [list(Severity).index(finding.severity) for finding in found]
    assert severities == sorted(severities)


@pytest.mark.parametrize("case", CASES)
def test_a_view_survives_being_recorded(case: str) -> None:
    """What was seen in an incident can be decided on again; what was decided on it is no part of it."""
    view = view_of(case)
    for peer in view.best_configuration.peers if view.best_configuration else ():
        judge_once(view, peer)
    assert view_from_dict(json.loads(json.dumps(view_to_dict(view)))) == view


def test_the_situations_have_leaders_and_none_and_a_playbook_for_some() -> None:
    """Else the test of a whole finding would hold less than it says."""
    assert sum(view_of(case).leader_id is None for case in CASES) > 5
    assert sum(view_of(case).leader_id is not None for case in CASES) > 5
    assert sum(finding.playbook is not None for case in CASES for finding in findings_of(case)) > 3


def test_every_diagnosis_has_a_situation_and_every_transcript_a_case() -> None:
    """A name that no situation leads to has never been seen."""
    assert {finding.name for case in CASES for finding in findings_of(case)} == names_in_the_code()
    assert {path.stem for path in TRANSCRIPTS.glob("*.txt")} == set(CASES) == set(FIRST)


def test_no_look_can_be_certain_of_a_death_or_of_a_loss_for_good() -> None:
    """One look is no proof, and no request shows a disk."""
    careful = {"DeadFollower", "DeadLeader", "StalePeer", "QuorumLostTransient", "QuorumLostPermanent", "HungServer"}
    certain = {f.name for case in CASES for f in findings_of(case) if f.certainty is Certainty.CERTAIN}
    assert not certain & careful


def test_the_page_has_a_line_for_each_diagnosis() -> None:
    """docs/diagnoses.md says of each name what it means and what to do, and of no other."""
    rows = [line.split("|")[1:4] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert {name.strip(" `") for name, _, _ in rows} == names_in_the_code()
    assert all(meaning.strip() and action.strip() for _, meaning, action in rows)
