"""One diagnosis for both: what `diagnose` calls certain and critical is never OK for `check` (tables, then worlds)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations_with_replacement, product

import pytest

from runbook.raft.diagnosis.findings import Certainty, Finding, Severity
from runbook.raft.diagnosis.health import LEVEL_OF_FINDING, ClusterHealth, cluster_health, level_of
from runbook.raft.model import ClusterView
from tests.diagnosis.test_cases import CASES, ROOT, earlier_of, findings_of, left_out_of, removed_of, upkeep_of, view_of
from tests.diagnosis.test_worlds import KINDS, SIZES, leaderless
from tests.raft import worlds

OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
LEVEL = {  # case: the exit code of `check`, by hand
    "a_dead_server_was_added_back_as_a_non_voter": WARNING,
    "a_follower_died": WARNING,
    "a_follower_was_killed_a_moment_ago": WARNING,
    "a_machine_was_cloned_with_its_id": CRITICAL,
    "a_newcomer_has_no_vote_yet": OK,
    "a_newcomer_is_on_its_way_in": OK,
    "a_removed_server_is_alive_in_gossip": WARNING,
    "a_removed_server_was_added_back_as_a_non_voter": WARNING,
    "a_removed_server_runs_on_outside": OK,
    "a_list_of_servers_left_out_cannot_be_read": WARNING,
    "a_server_left_out_is_back_beside_a_dead_one": CRITICAL,
    "a_server_left_out_is_back_in_gossip": CRITICAL,
    "a_server_left_out_of_a_recovery_is_back": CRITICAL,
    "a_server_left_out_was_replaced": OK,
    "a_sealed_server_waits_for_its_key": WARNING,
    "a_server_came_back_with_an_empty_disk": WARNING,
    "a_server_has_not_yet_received_the_newest_configuration": WARNING,
    "a_server_is_alive_in_gossip_and_nobody_knows_who_removed_it": OK,
    "a_server_crashes_and_is_started_again": WARNING,
    "a_server_is_frozen": WARNING,
    "a_server_was_renamed": OK,
    "a_server_without_data_runs_at_a_voters_address": WARNING,
    "a_servers_certificate_has_expired": WARNING,
    "a_voter_is_a_thousand_entries_behind": OK,
    "all_is_well": OK,
    "an_election_is_under_way": CRITICAL,
    "an_unfinished_removal_bars_every_election": CRITICAL,
    "autopilot_calls_a_living_voter_unhealthy": OK,
    "autopilot_calls_a_living_voter_unhealthy_beside_a_dead_one": WARNING,
    "autopilots_settings_were_zeroed": WARNING,
    "autopilots_clean_up_is_off": OK,
    "a_certificate_expires_soon": WARNING,
    "the_clock_of_this_host_is_wrong": WARNING,
    "the_clock_of_a_server_is_wrong": WARNING,
    "a_peers_json_was_left_behind": WARNING,
    "the_newest_snapshot_is_old": WARNING,
    "every_server_is_sealed": UNKNOWN,
    "four_voters_answer": OK,
    "no_gossip_knows_a_voter": WARNING,
    "nobody_answers": UNKNOWN,
    "one_address_is_listed_for_two_servers": WARNING,
    "one_http_api_is_out_of_reach": OK,
    "one_of_three_is_dead": CRITICAL,
    "one_server_is_sealed_and_one_is_frozen": CRITICAL,
    "one_server_refuses_the_token": WARNING,
    "only_this_host_hears_nothing_of_a_server": WARNING,
    "quorum_was_lost_and_the_leader_has_not_noticed": CRITICAL,
    "the_leader_died_and_no_other_is_elected_yet": CRITICAL,
    "the_leader_died_and_one_server_has_not_heard_of_the_next": WARNING,
    "the_leaders_own_gossip_cannot_be_read": WARNING,
    "the_servers_are_parted_and_this_host_sees_both_sides": WARNING,
    "the_token_is_refused_by_all": UNKNOWN,
    "this_host_reaches_one_of_five_and_there_is_a_leader": OK,
    "three_of_five_are_dead": CRITICAL,
    "three_of_five_are_gone_and_no_gossip_remembers_them": CRITICAL,
    "three_of_five_are_sealed": CRITICAL,
    "two_of_five_are_dead": CRITICAL,
    "two_of_five_are_dead_and_one_hangs": CRITICAL,
    "two_servers_answer_at_one_address": WARNING,
    "two_servers_call_themselves_leader": CRITICAL,
    "we_are_on_the_minority_side_of_a_cut": CRITICAL,
}


def finding(severity: Severity, certainty: Certainty) -> Finding:
    return Finding("AName", severity, certainty, "it is so", ("seen",), "Look")


def allowed(found: tuple[Finding, ...]) -> set[int]:
    """What `check` may say beside these findings, worded anew: never better than what is certain."""
    sure = {(each.severity, each.certainty) for each in found}
    if (Severity.CRITICAL, Certainty.CERTAIN) in sure:
        return {CRITICAL, UNKNOWN}
    if (Severity.CRITICAL, Certainty.LIKELY) in sure or (Severity.WARNING, Certainty.CERTAIN) in sure:
        return {WARNING, CRITICAL, UNKNOWN}
    return {OK, WARNING, CRITICAL, UNKNOWN}


def health_of(case: str) -> ClusterHealth:
    return cluster_health(
        view_of(case),
        left_out=left_out_of(case),
        removed=removed_of(case),
        earlier=earlier_of(case),
        upkeep=upkeep_of(case),
    )


@pytest.mark.parametrize("case", CASES)
def test_a_situation_has_its_exit_code(case: str) -> None:
    health = health_of(case)
    assert health.level == LEVEL[case], health.sentence
    assert health.findings == findings_of(case)


@pytest.mark.parametrize("case", CASES)
def test_the_line_names_the_worst_finding_and_the_next_command(case: str) -> None:
    """One line, which says no *healthy* beside a level that is none."""
    health = health_of(case)
    found = [each for each in findings_of(case) if each.severity in (Severity.CRITICAL, Severity.WARNING)]
    assert ("healthy" in health.sentence) == (health.level == OK)
    assert "\n" not in health.sentence
    if not found:
        assert "next:" not in health.sentence
        return
    assert any(f"{each.name} ({each.certainty.value})" in health.sentence for each in found)
    command = health.sentence.partition("; next: ")[2]
    assert command in {"runbook diagnose", *(f"runbook execute {each.playbook}" for each in found)}


@pytest.mark.parametrize(("severity", "certainty"), list(product(Severity, Certainty)), ids=lambda one: one.value)
def test_a_level_is_that_of_the_numbers_or_of_a_finding(severity: Severity, certainty: Certainty) -> None:
    """The table of docs/operating.md, whole."""
    alone = {
        (Severity.CRITICAL, Certainty.CERTAIN): CRITICAL,
        (Severity.CRITICAL, Certainty.LIKELY): WARNING,
        (Severity.WARNING, Certainty.CERTAIN): WARNING,
    }.get((severity, certainty), OK)
    one = (finding(severity, certainty),)
    assert [level_of(numbers, one) for numbers in (OK, WARNING, CRITICAL)] == [
        max(numbers, alone) for numbers in (OK, WARNING, CRITICAL)
    ]
    assert level_of(UNKNOWN, one) == (CRITICAL if alone == CRITICAL else UNKNOWN)
    assert level_of(OK, ()) == OK


def test_the_page_has_the_table() -> None:
    """docs/operating.md says what each finding is worth, and nothing else."""
    words = ("OK", "WARNING", "CRITICAL")
    rows = {
        certainty: [words[LEVEL_OF_FINDING.get((severity, certainty), OK)] for severity in list(Severity)[:3]]
        for certainty in Certainty
    }
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    for certainty, row in rows.items():
        assert f"| {certainty.value} | {' | '.join(row)} |" in page
    assert "| a finding that is | critical | warning | notice |" in page


def fits(view: ClusterView, world: object) -> int:
    health = cluster_health(view)
    assert health.level in allowed(health.findings), world
    if {each.name for each in health.findings} <= {"Healthy", "EvenVoters"}:
        assert health.level == OK, world
    return health.level


@pytest.mark.parametrize("size", SIZES)
def test_in_no_world_is_check_better_than_the_diagnosis(size: int, summarize: Callable[[str], None]) -> None:
    """And where the diagnosis finds nothing, `check` is OK."""
    levels = [0, 0, 0, 0]
    for world in combinations_with_replacement(KINDS, size):
        levels[fits(leaderless(world), world)] += 1
    for rest in combinations_with_replacement(KINDS, size - 1):
        world = (worlds.Kind(), *rest)
        levels[fits(worlds.view_of(world), world)] += 1
    assert all(levels[:3]) or size < 3, "two voters are never OK, as no one of them may fail"
    summarize(f"worlds of {size} voters for `check`: {levels[0]} OK, {levels[1]} WARNING, {levels[2]} CRITICAL")
