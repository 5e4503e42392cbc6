"""What a look is worth: its age, its gaps, what it saw of the living, and a person's word where it saw nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook.raft.advice import MAY_BE_FROZEN
from runbook.raft.liveness import Liveness, Verdict, judge, settled_by_host
from runbook.raft.model import ClusterView, Reach
from runbook.raft.opinions import HostWord
from tests.raft.test_judgement import LOOKS, peer, world


def seen(letters: str, *moments: float, seconds: float = 0.0) -> list[ClusterView]:
    return [replace(world(letters, at), seconds=seconds) for at in moments]


def test_what_lies_between_two_looks_is_counted_from_the_end_of_the_first() -> None:
    """I15: evidence may be as old as the beginning of its look, and as young as its end."""
    assert judge(seen("aad", 0, 15, 30, seconds=9), peer(3), confirm_for=30).liveness is Liveness.UNKNOWN
    assert judge(seen("aad", 0, 15, 30, 39, seconds=9), peer(3), confirm_for=30).liveness is Liveness.DEAD


def test_between_two_looks_that_count_there_is_no_time_for_a_restart() -> None:
    assert judge(seen("aad", 0, 60), peer(3), confirm_for=30).liveness is Liveness.UNKNOWN
    assert judge(seen("aad", 0, 15, 31), peer(3), confirm_for=30).liveness is Liveness.UNKNOWN


def test_a_sign_of_life_in_a_look_without_a_leader_counts() -> None:
    """Whichever step took it, and whatever else the look lacked."""
    void = replace(world("aaa", 15), configuration=None, leader_id=None)
    assert judge([*seen("aad", 0), void, *seen("aad", 16, 31)], peer(3), confirm_for=30).liveness is Liveness.UNKNOWN
    silent = replace(world("aad", 15), configuration=None, leader_id=None)
    assert judge([*seen("aad", 0, 10), silent, *seen("aad", 20, 31)], peer(3), confirm_for=30).liveness is Liveness.DEAD


def test_a_verdict_begins_anew_behind_a_sign_of_life() -> None:
    looks = [*seen("aad", 0, 15, 30), *seen("aaa", 40), *seen("aad", 50, 65, 79)]
    assert judge(looks, peer(3), confirm_for=30).liveness is Liveness.UNKNOWN
    assert judge([*looks, *seen("aad", 80)], peer(3), confirm_for=30).liveness is Liveness.DEAD


OFF, UP = {22: Reach.SILENT, 9: Reach.SILENT}, {22: Reach.SILENT, 9: Reach.REFUSED}


def silent(hosts: dict[int, dict[int, Reach]], *moments: float, also: tuple[int, ...] = ()) -> list[ClusterView]:
    """s3's port is silent, and ``also`` these; what its machine and the others' say on other ports."""
    view = world("aad")
    probes = {**view.probes, **{peer(number).address: Reach.SILENT for number in (3, *also)}}
    told = {peer(number).address: tried for number, tried in hosts.items()}
    return [replace(view, probes=probes, hosts=told, taken_at=at) for at in moments]


def test_a_silent_port_on_a_machine_that_answers_is_a_frozen_process() -> None:
    """A stopped process whose listen queue is full: the kernel drops what comes. Time proves nothing of it."""
    looks = silent({3: UP, 1: UP}, *range(0, 3000, 15))
    verdict = judge(looks, peer(3), confirm_for=30)
    assert verdict.liveness is Liveness.UNKNOWN
    assert "its machine answers on port 9" in verdict.evidence[0]


def test_a_silent_machine_is_dead_after_two_minutes_where_the_machines_of_the_living_answer() -> None:
    looks = silent({3: OFF, 1: UP}, *range(0, 120, 15))
    assert judge(looks, peer(3), confirm_for=30).liveness is Liveness.UNKNOWN
    assert judge([*looks, *silent({3: OFF, 1: UP}, 120)], peer(3), confirm_for=30).liveness is Liveness.DEAD


def test_where_the_machines_of_the_living_are_silent_too_the_probe_is_blind() -> None:
    looks = silent({3: OFF, 1: OFF, 2: OFF}, *range(0, 3000, 15))
    assert judge(looks, peer(3), confirm_for=30).liveness is Liveness.UNKNOWN
    other_question = silent({3: {22: Reach.SILENT}, 1: {9: Reach.REFUSED}}, *range(0, 3000, 15))
    assert judge(other_question, peer(3), confirm_for=30).liveness is Liveness.UNKNOWN


ALL_SILENT = {**OFF, 8300: Reach.SILENT, 8500: Reach.SILENT}


@pytest.mark.parametrize(
    "machines",
    [
        pytest.param(
            {3: ALL_SILENT, 1: {**ALL_SILENT, 8500: Reach.ACCEPTED}, 2: ALL_SILENT}, id="only the door is open"
        ),
        pytest.param(
            {number: {**ALL_SILENT, 8500: Reach.ACCEPTED if number < 3 else Reach.SILENT} for number in (1, 2, 3)},
            id="only the servers' own ports are open, and its queues may be full",
        ),
        pytest.param({3: ALL_SILENT, 1: {**ALL_SILENT, **UP}, 2: ALL_SILENT}, id="one living machine is silent too"),
    ],
)
def test_silence_that_a_living_machine_shares_is_a_firewalls(machines: dict[int, dict[int, Reach]]) -> None:
    """A frozen server was removed by the first two. With a person's word the probe is passed over, as it is blind."""
    looks = silent(machines, *range(0, 300, 15))
    verdict = judge(looks, peer(3), confirm_for=30)
    assert (verdict.liveness, verdict.blind) == (Liveness.UNKNOWN, True)
    assert judge(looks, peer(3), confirm_for=30, confirmed_off=True).liveness is Liveness.DEAD


def test_where_the_ports_of_the_living_are_silent_too_a_machine_that_answers_says_nothing() -> None:
    """A firewall drops what is for the Raft ports and lets ssh through: a word settles it."""
    looks = silent({3: UP, 1: UP, 2: UP}, *range(0, 300, 15), also=(2,))
    verdict = judge(looks, peer(3), confirm_for=30)
    assert (verdict.liveness, verdict.blind) == (Liveness.UNKNOWN, True)
    assert judge(looks, peer(3), confirm_for=30, confirmed_off=True).liveness is Liveness.DEAD


def test_a_machine_that_was_silent_and_then_refuses_needs_no_two_minutes_more() -> None:
    looks = [*silent({3: OFF, 1: UP}, 0, 15), *seen("aad", 30, 45, 60)]
    assert judge(looks, peer(3), confirm_for=30).liveness is Liveness.DEAD
    assert judge(looks[:-1], peer(3), confirm_for=30).liveness is Liveness.UNKNOWN


WORDS = [
    ("rejected, as the living are", "aad", {1: Reach.REFUSED, 3: Reach.REFUSED}, Liveness.DEAD),
    ("nobody tried it", "aad", {1: Reach.ACCEPTED, 2: Reach.ACCEPTED}, Liveness.DEAD),
    ("no route from here", "aad", {1: Reach.ACCEPTED, 2: Reach.ACCEPTED, 3: Reach.UNREACHABLE}, Liveness.DEAD),
    ("it accepts", "aad", {1: Reach.ACCEPTED, 2: Reach.ACCEPTED, 3: Reach.ACCEPTED}, Liveness.UNKNOWN),
    ("alive in gossip", "aag", {1: Reach.REFUSED, 3: Reach.REFUSED}, Liveness.UNKNOWN),
    ("it answers", "aaa", {1: Reach.REFUSED, 3: Reach.REFUSED}, Liveness.ALIVE),
]


@pytest.mark.parametrize(("letters", "ports", "expected"), [row[1:] for row in WORDS], ids=[row[0] for row in WORDS])
def test_a_persons_word_takes_the_place_of_a_blind_probe_and_of_nothing_else(
    letters: str, ports: dict[int, Reach], expected: Liveness
) -> None:
    """Without it nobody is dead by such a probe, and what would settle it is said."""
    view = replace(world(letters), probes={peer(number).address: reach for number, reach in ports.items()})
    looks = [replace(view, taken_at=moment) for moment in LOOKS]
    unsaid = judge(looks, peer(3), confirm_for=30)
    assert unsaid.liveness is (Liveness.ALIVE if expected is Liveness.ALIVE else Liveness.UNKNOWN)
    assert ("--confirmed-off s3.global" in unsaid.settled_by) == (expected is Liveness.DEAD)
    said = judge(looks, peer(3), confirm_for=30, confirmed_off=True)
    assert said.liveness is expected
    assert ("a person has confirmed that it is off" in " ".join(said.evidence)) == (expected is Liveness.DEAD)


STOPPED, RUNS = HostWord(stopped=True, words="its unit is inactive"), HostWord(False, words="pid 7", runs=True)
UNSEEN = HostWord(stopped=False, words="ssh failed")


@pytest.mark.parametrize(
    ("letters", "ports", "expected"), [row[1:] for row in WORDS[:3]], ids=[row[0] for row in WORDS[:3]]
)
def test_a_hosts_word_takes_the_place_of_a_blind_probe_too_and_a_process_seen_there_outweighs_a_persons(
    letters: str, ports: dict[int, Reach], expected: Liveness
) -> None:
    """What could not be seen is no word. One look whose machine said anything else breaks the row."""
    view = replace(world(letters), probes={peer(number).address: reach for number, reach in ports.items()})

    def judged(*words: HostWord | None, confirmed_off: bool = False) -> Verdict:
        told = [{peer(3).id: word} if word else {} for word in words]
        looks = [replace(view, taken_at=at, host_words=word) for at, word in zip((0.0, 15.0, 30.0), told, strict=True)]
        return judge(looks, peer(3), confirm_for=30, confirmed_off=confirmed_off)

    assert settled_by_host(view) == (peer(3),)
    dead = judged(STOPPED, STOPPED, STOPPED)
    assert dead.liveness is expected is Liveness.DEAD
    assert "on its host: its unit is inactive" in " ".join(dead.evidence)
    for word in (UNSEEN, RUNS, None):
        assert judged(word, word, word).liveness is Liveness.UNKNOWN
        assert judged(STOPPED, word, STOPPED).liveness is Liveness.UNKNOWN
    assert "ssh failed" in judged(UNSEEN, UNSEEN, UNSEEN).evidence[0]
    assert judged(UNSEEN, UNSEEN, UNSEEN, confirmed_off=True).liveness is Liveness.DEAD
    assert judged(RUNS, RUNS, RUNS, confirmed_off=True).settled_by == MAY_BE_FROZEN


@pytest.mark.parametrize(
    ("letters", "ports", "expected"), [row[1:] for row in WORDS[3:]], ids=[r[0] for r in WORDS[3:]]
)
def test_a_hosts_word_outweighs_no_sign_of_life(letters: str, ports: dict[int, Reach], expected: Liveness) -> None:
    view = replace(world(letters), probes={peer(number).address: reach for number, reach in ports.items()})
    looks = [replace(view, taken_at=at, host_words={peer(3).id: STOPPED}) for at in LOOKS]
    assert settled_by_host(view) == ()
    assert judge(looks, peer(3), confirm_for=30).liveness is expected


def test_a_hosts_word_settles_a_silent_port_on_a_machine_that_answers() -> None:
    """It was seen there that no process is frozen; a person's word is not enough for it."""
    looks = [replace(view, host_words={peer(3).id: STOPPED}) for view in silent({3: UP, 1: UP}, 0, 15, 30)]
    assert judge(looks, peer(3), confirm_for=30).liveness is Liveness.DEAD


def test_no_word_of_a_person_settles_a_machine_that_answers_for_a_silent_port() -> None:
    """A frozen process with a full queue: the machine is up, whatever a person says."""
    looks = silent({3: UP, 1: UP}, *range(0, 300, 15))
    assert judge(looks, peer(3), confirm_for=30, confirmed_off=True).liveness is Liveness.UNKNOWN


def test_a_refused_port_proves_nothing_where_the_living_are_refused_too() -> None:
    """A firewall that rejects looks like a process that is gone."""
    view = world("aad")
    for at in (1, 2):
        rejected = replace(view, probes={**view.probes, peer(at).address: Reach.REFUSED})
        looks = [replace(rejected, taken_at=moment) for moment in LOOKS]
        assert judge(looks, peer(3), confirm_for=30).liveness is Liveness.UNKNOWN
    none_accepts = replace(view, probes={peer(n).address: Reach.SILENT if n < 3 else Reach.REFUSED for n in (1, 2, 3)})
    looks = [replace(none_accepts, taken_at=moment) for moment in LOOKS]
    assert judge(looks, peer(3), confirm_for=30).liveness is Liveness.UNKNOWN
