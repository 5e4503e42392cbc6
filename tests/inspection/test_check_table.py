"""Conditions of a cluster × exit code, line and series; read by Prometheus' own parser and by a plugin's rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runbook.raft.diagnosis.check_result import LEVELS, CheckResult, ClusterIdentity, with_thresholds
from runbook.raft.diagnosis.health import CRITICAL, OK, UNKNOWN, WARNING
from runbook.raft.diagnosis.thresholds import Thresholds, parse_range
from runbook.report.check import check_record, format_for_person, format_nagios, format_prometheus
from tests.diagnosis.test_cases import compare
from tests.diagnosis.test_check_agrees import health_of

GOLDEN = Path(__file__).parents[1] / "transcripts" / "check.txt"
TABLE = {  # the situation of tests/diagnosis, thresholds as they are typed, and the exit code, by hand
    "all_is_well": ((), OK),
    "all_is_well, wanted better": (("warning failure_tolerance=3:",), WARNING),
    "all_is_well, wanted much better": (("warning voters=7:", "critical failure_tolerance=3:"), CRITICAL),
    "all_is_well, within its ranges": (("warning seconds=2", "critical failure_tolerance=1:"), OK),
    "a_follower_died": ((), WARNING),
    "a_follower_died, and that is too many": (("critical dead=0",), CRITICAL),
    "two_of_five_are_dead": ((), CRITICAL),
    "one_of_three_is_dead": ((), CRITICAL),
    "three_of_five_are_dead": ((), CRITICAL),
    "an_election_is_under_way": ((), CRITICAL),
    "nobody_answers": ((), UNKNOWN),
    "the_token_is_refused_by_all": ((), UNKNOWN),
    "one_server_refuses_the_token": ((), WARNING),
    "a_server_is_frozen": ((), WARNING),
    "a_sealed_server_waits_for_its_key": ((), WARNING),
    "every_server_is_sealed": ((), UNKNOWN),
    "we_are_on_the_minority_side_of_a_cut": ((), CRITICAL),
    "this_host_reaches_one_of_five_and_there_is_a_leader": ((), OK),
    "the_servers_are_parted_and_this_host_sees_both_sides": ((), WARNING),
    "a_voter_is_a_thousand_entries_behind": ((), OK),
    "four_voters_answer": ((), OK),
    "four_voters_answer, and even is not wanted": (("warning voters=@4",), WARNING),
    "autopilots_settings_were_zeroed": ((), WARNING),
    "autopilots_clean_up_is_off": ((), OK),
    "a_certificate_expires_soon": ((), WARNING),
    "a_certificate_expires_soon, much too soon": (("critical certificate_days=7:",), CRITICAL),
    "the_clock_of_a_server_is_wrong": ((), WARNING),
    "a_peers_json_was_left_behind": ((), WARNING),
    "the_newest_snapshot_is_old": ((), WARNING),
    "a_server_left_out_of_a_recovery_is_back": ((), CRITICAL),
    "a_machine_was_cloned_with_its_id": ((), CRITICAL),
}
NUMBER = r"-?\d+(?:\.\d+)?"
PERFORMANCE = re.compile(
    rf"(?P<label>[^\s='|]+)=(?P<value>{NUMBER})(?P<unit>s|us|ms|%|B|KB|MB|TB|c)?"
    r"(?:;(?P<warning>[^;\s]*))?(?:;(?P<critical>[^;\s]*))?"
)


def result_of(condition: str) -> CheckResult:
    typed, _ = TABLE[condition]
    ranges: dict[str, dict[str, str]] = {"warning": {}, "critical": {}}
    for words in typed:
        level, _, rest = words.partition(" ")
        name, _, text = rest.partition("=")
        ranges[level][name] = text
    parsed = [{name: parse_range(text) for name, text in ranges[level].items()} for level in ("warning", "critical")]
    health = health_of(condition.partition(",")[0])
    identity = ClusterIdentity("prod", "nomad", "http://10.0.0.11:4646")
    return with_thresholds(CheckResult(identity, health.level, health.sentence, 0.25, health), Thresholds(*parsed))


def alerts(value: float, text: str) -> bool:
    """The plugins' rule once more, in the obvious way."""
    inside, low, high = text.startswith("@"), 0.0, float("inf")
    begin, colon, end = text.lstrip("@").rpartition(":")
    if colon:
        low = float("-inf") if begin == "~" else float(begin)
    if end:
        high = float(end)
    return (low <= value <= high) == inside


def read_line(line: str) -> tuple[int, dict[str, re.Match[str]]]:
    """What a monitor makes of it."""
    head, _, performance = line.partition(" | ")
    words = re.fullmatch(r"RAFT (OK|WARNING|CRITICAL|UNKNOWN) - [^|\n]+", head)
    assert words, line
    items = [PERFORMANCE.fullmatch(item) for item in performance.split()]
    assert all(items), performance
    return LEVELS.index(words[1]), {item["label"]: item for item in items if item}


@pytest.mark.parametrize("condition", TABLE)
def test_a_condition_has_its_code_its_line_and_its_series(condition: str) -> None:
    """All three agree on every number, and what a range says is what the level says."""
    result = result_of(condition)
    level, numbers = read_line(format_nagios(result))
    assert result.level == level == TABLE[condition][1]
    for found in numbers.values():
        for name, at_least in (("warning", WARNING), ("critical", CRITICAL)):
            if found[name] and alerts(float(found["value"]), found[name]):
                assert level in (at_least, CRITICAL)
    families = list(text_string_to_metric_families(format_prometheus([result])))
    series = {family.name.removeprefix("runbook_raft_"): family.samples[0] for family in families}
    assert series.pop("status").value == level
    assert series.pop("flapping").value == 0
    assert series.pop("check_seconds").value == 0.25
    told = {name: float(found["value"]) for name, found in numbers.items() if name != "seconds"}
    assert {name: round(sample.value, 3) for name, sample in series.items()} == told
    assert all(len(family.samples) == 1 and family.type == "gauge" and family.documentation for family in families)
    assert ("next: runbook " in result.sentence) == bool(
        result.name or level == CRITICAL or result.thresholds.warning
    ) or level in (OK, UNKNOWN)


def test_the_whole_table(rewrite: bool, summarize: Callable[[str], None]) -> None:
    """Kept as it reads, so that a change of one line is seen in a review."""
    parts = []
    for condition in TABLE:
        result = result_of(condition)
        series = [line for line in format_prometheus([result]).splitlines() if not line.startswith("#")]
        parts += [f"-- {condition}: exit {result.level}", format_nagios(result), *series, ""]
    compare(GOLDEN, "\n".join(parts), rewrite)
    summarize(f"{len(TABLE)} conditions of `check`: exit code, line and series agree")


def test_many_clusters_share_no_series() -> None:
    """And a name forges none: I17."""
    one = result_of("all_is_well")
    evil = 'x"} 1\nrunbook_raft_status{cluster="forged\\'
    results = [one, replace(one, identity=ClusterIdentity("eu", "consul", "http://b"), level=CRITICAL)]
    results.append(replace(one, identity=ClusterIdentity(evil, "nomad", "http://c")))
    families = list(text_string_to_metric_families(format_prometheus(results)))
    status = next(family for family in families if family.name == "runbook_raft_status")
    assert [(s.labels["kind"], s.labels["instance"], s.value) for s in status.samples] == [
        ("nomad", "http://10.0.0.11:4646", 0),
        ("consul", "http://b", 2),
        ("nomad", "http://c", 0),
    ]
    assert len({tuple(sorted(s.labels.items())) for s in status.samples}) == 3


def test_a_sentence_of_others_begins_no_second_line_and_no_number() -> None:
    result = replace(result_of("all_is_well"), sentence="a | dead=9\nRAFT OK - fine \x1b[2J", remarks=("b | c=1",))
    line = format_nagios(result)
    assert line.count("\n") == 0
    assert line.count("|") == 1
    assert "\x1b" not in line
    assert "dead" in read_line(line)[1]


def test_a_person_reads_each_finding_with_what_to_do() -> None:
    lines = format_for_person(replace(result_of("a_follower_died"), flapping=True, remarks=("a remark",)))
    assert lines[0] == "WARNING  nomad:prod  (flapping)"
    assert any("WARNING  DeadFollower (likely): no sign of life from s2.global" in line for line in lines)
    assert lines[-1] == "note: a remark"


def test_the_object_has_what_the_line_has() -> None:
    result = replace(result_of("a_certificate_expires_soon"), flapping=True, remarks=("a remark",))
    record = check_record(result)
    assert (record["cluster"], record["kind"], record["instance"]) == ("prod", "nomad", "http://10.0.0.11:4646")
    assert (record["status"], record["level"], record["flapping"], record["remarks"]) == (
        "WARNING",
        1,
        True,
        ["a remark"],
    )
    assert record["certificate_days"] == 3.5
    assert "clock_drift" not in record
