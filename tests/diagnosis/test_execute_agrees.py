"""One diagnosis for all: what `execute` does on each situation, beside what `check` says of it; a table by hand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from runbook.exit_codes import exit_code_of_ending
from runbook.raft.diagnosis.findings import REMOVE_DEAD_PEERS
from runbook.raft.diagnosis.health import OK
from runbook.raft.model import ClusterView, Peer, Reach
from tests.diagnosis.test_cases import CASES, findings_of, left_out_of, view_of
from tests.diagnosis.test_check_agrees import CRITICAL, LEVEL
from tests.engine.fake import FakeClock, Run

RECOVERED, REFUSED, UNREACHABLE = 0, 3, 4
EXECUTES = {  # case: the exit code of `execute`, and who would be removed, by hand
    "a_dead_server_was_added_back_as_a_non_voter": (RECOVERED, ["s2"]),
    "a_follower_died": (RECOVERED, ["s2"]),
    "a_follower_was_killed_a_moment_ago": (RECOVERED, []),
    "a_machine_was_cloned_with_its_id": (REFUSED, []),
    "a_newcomer_has_no_vote_yet": (RECOVERED, []),
    "a_newcomer_is_on_its_way_in": (UNREACHABLE, []),
    "a_removed_server_is_alive_in_gossip": (UNREACHABLE, []),
    "a_removed_server_was_added_back_as_a_non_voter": (RECOVERED, []),
    "a_removed_server_runs_on_outside": (RECOVERED, []),
    "a_list_of_servers_left_out_cannot_be_read": (RECOVERED, []),
    "a_server_left_out_is_back_beside_a_dead_one": (REFUSED, []),
    "a_server_left_out_is_back_in_gossip": (REFUSED, []),
    "a_server_left_out_of_a_recovery_is_back": (REFUSED, []),
    "a_server_left_out_was_replaced": (RECOVERED, []),
    "a_sealed_server_waits_for_its_key": (REFUSED, []),
    "a_server_came_back_with_an_empty_disk": (REFUSED, []),
    "a_server_crashes_and_is_started_again": (RECOVERED, ["s2"]),
    "a_server_has_not_yet_received_the_newest_configuration": (UNREACHABLE, []),
    "a_server_is_alive_in_gossip_and_nobody_knows_who_removed_it": (UNREACHABLE, []),
    "a_server_is_frozen": (REFUSED, []),
    "a_server_was_renamed": (RECOVERED, []),
    "a_server_without_data_runs_at_a_voters_address": (REFUSED, []),
    "a_servers_certificate_has_expired": (REFUSED, []),
    "a_voter_is_a_thousand_entries_behind": (RECOVERED, []),
    "all_is_well": (RECOVERED, []),
    "an_election_is_under_way": (UNREACHABLE, []),
    "an_unfinished_removal_bars_every_election": (UNREACHABLE, []),
    "autopilot_calls_a_living_voter_unhealthy": (RECOVERED, []),
    "autopilot_calls_a_living_voter_unhealthy_beside_a_dead_one": (RECOVERED, ["s2"]),
    "autopilots_settings_were_zeroed": (RECOVERED, []),
    "autopilots_clean_up_is_off": (RECOVERED, []),
    "a_certificate_expires_soon": (RECOVERED, []),
    "the_clock_of_this_host_is_wrong": (RECOVERED, []),
    "the_clock_of_a_server_is_wrong": (RECOVERED, []),
    "a_peers_json_was_left_behind": (RECOVERED, []),
    "the_newest_snapshot_is_old": (RECOVERED, []),
    "every_server_is_sealed": (UNREACHABLE, []),
    "four_voters_answer": (RECOVERED, []),
    "no_gossip_knows_a_voter": (RECOVERED, ["127"]),
    "nobody_answers": (UNREACHABLE, []),
    "one_address_is_listed_for_two_servers": (UNREACHABLE, []),
    "one_http_api_is_out_of_reach": (RECOVERED, []),
    "one_of_three_is_dead": (REFUSED, []),
    "one_server_is_sealed_and_one_is_frozen": (REFUSED, []),
    "one_server_refuses_the_token": (RECOVERED, []),
    "only_this_host_hears_nothing_of_a_server": (RECOVERED, []),
    "quorum_was_lost_and_the_leader_has_not_noticed": (REFUSED, []),
    "the_leader_died_and_no_other_is_elected_yet": (UNREACHABLE, []),
    "the_leader_died_and_one_server_has_not_heard_of_the_next": (RECOVERED, ["s1"]),
    "the_leaders_own_gossip_cannot_be_read": (REFUSED, []),
    "the_servers_are_parted_and_this_host_sees_both_sides": (RECOVERED, []),
    "the_token_is_refused_by_all": (UNREACHABLE, []),
    "this_host_reaches_one_of_five_and_there_is_a_leader": (RECOVERED, []),
    "three_of_five_are_dead": (UNREACHABLE, []),
    "three_of_five_are_gone_and_no_gossip_remembers_them": (UNREACHABLE, []),
    "three_of_five_are_sealed": (UNREACHABLE, []),
    "two_of_five_are_dead": (RECOVERED, ["s2", "s3"]),
    "two_of_five_are_dead_and_one_hangs": (UNREACHABLE, []),
    "two_servers_answer_at_one_address": (RECOVERED, []),
    "two_servers_call_themselves_leader": (UNREACHABLE, []),
    "we_are_on_the_minority_side_of_a_cut": (UNREACHABLE, []),
}
NOT_STILL = {  # the world of these would go on: a newcomer is added, a crashed server comes back
    "a_newcomer_is_on_its_way_in",
    "a_server_is_alive_in_gossip_and_nobody_knows_who_removed_it",
    "a_server_crashes_and_is_started_again",
}


class Still:
    """A cluster in which nothing moves but time."""

    name = "nomad:x"
    secrets: tuple[str, ...] = ()

    def __init__(self, view: ClusterView, clock: FakeClock) -> None:
        self.view, self.clock = view, clock

    def look(self, *, within: float = inf) -> ClusterView:
        began = self.clock.monotonic()
        self.clock.sleep(0.01)
        return replace(self.view, taken_at=began, seconds=0.01)

    def probe(self, addresses: Collection[str]) -> Mapping[str, Reach]:
        return {}

    def remove_peer(self, peer: Peer, *, within: float = inf) -> None:
        raise AssertionError("a dry run sends no removal")

    def save_state(self, path: Path, *, within: float = inf) -> str:
        path.write_bytes(b"state")
        return "0" * 64


def executed(case: str, folder: Path) -> tuple[int, list[str]]:
    run = Run(Still(view_of(case), FakeClock()), folder, left_out=left_out_of(case))  # type: ignore[arg-type]
    ending = run.execute(dry_run=True)
    would = [record["name"] for record in run.records if record["kind"] == "removal.would_be_requested"]
    return exit_code_of_ending(ending), [name.split(".")[0] for name in would]


@pytest.mark.parametrize("case", CASES)
def test_a_situation_ends_a_run_so(case: str, tmp_path: Path) -> None:
    assert executed(case, tmp_path) == EXECUTES[case]


@pytest.mark.parametrize("case", sorted(set(CASES) - NOT_STILL))
def test_what_is_diagnosed_is_what_is_done(case: str) -> None:
    """The playbook is named exactly where it removes somebody; who is well has nothing to do; no leader, no change."""
    code, removed = EXECUTES[case]
    assert bool(removed) == any(finding.playbook == REMOVE_DEAD_PEERS for finding in findings_of(case))
    if LEVEL[case] == OK:
        assert (code, removed) == (RECOVERED, [])
    if view_of(case).leader_id is None:
        assert (code, removed) == (UNREACHABLE, [])
    if code != RECOVERED:
        assert LEVEL[case] != OK
    if LEVEL[case] == CRITICAL:
        assert removed or code != RECOVERED, "critical, and nothing to do"


@pytest.mark.parametrize(
    "case", ["a_sealed_server_waits_for_its_key", "a_server_is_frozen", "a_servers_certificate_has_expired"]
)
def test_time_alone_settles_nothing_for_who_is_sealed_or_frozen(case: str, tmp_path: Path) -> None:
    """A run does not wait the six minutes for it that a death must be seen for."""
    clock = FakeClock()
    began = clock.monotonic()
    Run(Still(view_of(case), clock), tmp_path).execute(dry_run=True)  # type: ignore[arg-type]
    assert clock.monotonic() - began < 60


def test_the_table_is_whole(summarize: Callable[[str], None]) -> None:
    """And printed: what `check` says, how `execute` ends, and whom it would remove."""
    assert sorted(EXECUTES) == sorted(LEVEL) == CASES
    for case, (code, removed) in sorted(EXECUTES.items()):
        print(f"check {LEVEL[case]}  execute {code}  {' '.join(removed):<6} {case}")
    same = sum((LEVEL[case] == OK) == (code == RECOVERED and not removed) for case, (code, removed) in EXECUTES.items())
    summarize(f"{len(CASES)} situations: `check` is OK exactly where `execute` has nothing to do in {same} of them")
