"""Every small world without a leader: who may be recovered by peers.json, and that silence never allows it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement, product
from pathlib import Path

import pytest

from runbook.raft.lost_quorum import BY_ANOTHER_LOOK, NOT_READ_IN_TIME, RecoveryEvidence, plan_recovery
from runbook.raft.lost_quorum_plan import Ground, RecoveryPlan
from runbook.raft.lost_quorum_text import format_plan
from runbook.raft.model import ClusterView, Configuration, Vantage
from runbook.raft.opinions import HostWord
from runbook.raft.quorum import quorum
from runbook.raft.removal import Refusal
from tests.raft.worlds import Kind, peer, view_of

TRANSCRIPT = Path(__file__).parents[1] / "transcripts" / "recover-plan.txt"
WORDS = {
    "none": None,
    "stopped": HostWord(stopped=True, words="inactive"),
    "runs": HostWord(stopped=False, words="active"),
    "fenced": HostWord(stopped=True, fenced=True, words="disabled"),
}
SIGHTS = ("answers", "accepts", "refused", "off", "full", "silent", "untried")


@dataclass(frozen=True)
class Server:
    """``host`` is the word of its own host, ``named`` a person's."""

    sight: str
    gossip: str = "failed"
    host: str = "none"
    named: bool = False
    voter: bool = True


SURVIVOR = Server("answers", "alive")
SIZES = range(1, int(os.environ.get("WORLD_SERVERS", "3")) + 1)  # more each night
OTHERS = [
    Server(sight, gossip, host, named)
    for sight, gossip, host, named in product(SIGHTS[1:], ("alive", "failed", "absent"), WORDS, (False, True))
]


def look(servers: Sequence[Server], at: float = 0.0) -> ClusterView:
    """Without a leader; every survivor's log ends further than that of the one after it."""
    view = view_of([Kind(s.voter, s.sight, s.gossip) for s in servers], at, leader=None)
    said = tuple(
        replace(v, last_log_term=2, last_log_index=100 - n, commit_index=99, version="1.8.7", data_dir="/data")
        for n, v in enumerate(view.vantages)
    )
    return replace(view, cluster="consul:x", vantages=said, error_kind="no_leader", error_text="No cluster leader")


def evidence(servers: Sequence[Server], times: Sequence[float] = (0.0, 15.0, 30.0)) -> RecoveryEvidence:
    hosts = {f"id-{n}": word for n, s in enumerate(servers, 1) if (word := WORDS[s.host]) is not None}
    named = frozenset(f"id-{n}" for n, s in enumerate(servers, 1) if s.named)
    return RecoveryEvidence([look(servers, at) for at in times], hosts, named)


def decide(servers: Sequence[Server]) -> RecoveryPlan | Refusal:
    return plan_recovery(evidence(servers))


def expected(servers: Sequence[Server]) -> str:
    """The same by counting: the code of the refusal, or ``plan``."""
    living = [s for s in servers if s.sight == "answers"]
    others = [s for s in servers if s.sight != "answers"]
    if not living:
        return "NoSurvivor"
    if len(living) >= quorum(len(servers)):
        return "QuorumNotLost"
    if any(s.sight == "accepts" or s.gossip == "alive" for s in others):
        return "LeftOutShowsLife"
    settled = [s.named or s.host == "fenced" or (s.host == "stopped" and s.sight == "refused") for s in others]
    return "plan" if all(settled) else "SilenceProvesNothing"


@pytest.mark.parametrize("size", SIZES)
def test_every_world(size: int, summarize: Callable[[str], None]) -> None:
    """One survivor or more, and all others in every state: port, gossip, the host's word, and a person's."""
    found: Counter[str] = Counter()
    for living in range(size > 1, size + 1):
        for others in combinations_with_replacement(OTHERS, size - living):
            servers = [*[SURVIVOR] * living, *others]
            made = decide(servers)
            code = made.code if isinstance(made, Refusal) else "plan"
            assert code == expected(servers), servers
            found[code] += 1
            if isinstance(made, Refusal):
                assert made.next_action
            else:
                assert_sound(made, servers)
    summarize(f"worlds of {size} servers without a leader: {dict(sorted(found.items()))}")
    assert found["plan"] > 0 or size == 1


def assert_sound(plan: RecoveryPlan, servers: Sequence[Server]) -> None:
    """All survivors and nobody else are in the file, and each of the others has a ground that was given."""
    living = [f"id-{n}" for n, s in enumerate(servers, 1) if s.sight == "answers"]
    assert sorted(entry["id"] for entry in json.loads(plan.text)) == living
    assert {one.peer.id for one in plan.left_out} == {f"id-{n}" for n in range(1, len(servers) + 1)} - set(living)
    assert plan.losses
    for one in plan.left_out:
        server = servers[int(one.peer.id.removeprefix("id-")) - 1]
        given = {Ground.FENCED: server.host == "fenced", Ground.INACTIVE: server.host == "stopped",
                 Ground.NAMED: server.named, None: False}  # fmt: skip
        assert given[one.ground], server
        told = f"{one.peer.label} is left out on a person's word" in " ".join(plan.losses)
        assert told == (one.ground is Ground.NAMED)


DEAD = Server("refused", named=True)


def refused(looks: Sequence[ClusterView], *named: str) -> str:
    """Where a person has named these, or the last three of five."""
    made = plan_recovery(RecoveryEvidence(looks, named=frozenset(named or ("id-3", "id-4", "id-5"))))
    return made.code if isinstance(made, Refusal) else "plan"


def test_too_few_looks_or_too_far_apart() -> None:
    """Between two looks far apart a server can have come and gone."""
    world = [SURVIVOR, DEAD, DEAD]
    by_times: Mapping[tuple[float, ...], str] = {
        (): "TooFewLooks",
        (0.0,): "TooFewLooks",
        (0.0, 30.0): "TooFewLooks",
        (0.0, 10.0, 20.0): "TooFewLooks",
        (0.0, 20.0, 40.0): "TooFewLooks",
        (0.0, 15.0, 30.0): "plan",
        (0.0, 40.0, 55.0, 70.0): "plan",
    }
    told = {times: refused([look(world, at) for at in times], "id-2", "id-3") for times in by_times}
    assert told == by_times


def test_a_leader_or_a_sign_of_life_in_any_look_counts() -> None:
    """Also where it is not in the newest one."""
    world = [SURVIVOR, SURVIVOR, DEAD, DEAD, DEAD]
    looks = [look(world, at) for at in (0.0, 15.0, 30.0, 45.0)]
    led = replace(look(world), leader_id="id-3")
    says_so = replace(looks[0], vantages=tuple(replace(v, state="Leader") for v in looks[0].vantages))
    accepts = look([SURVIVOR, SURVIVOR, DEAD, DEAD, Server("accepts")])
    answered = look([SURVIVOR, SURVIVOR, SURVIVOR, DEAD, DEAD])
    unread = replace(looks[-1], error_kind="forbidden")
    assert refused([led, *looks[1:]]) == "QuorumNotLost"
    assert refused([says_so, *looks[1:]]) == "QuorumNotLost"
    assert refused([accepts, *looks[1:]]) == "LeftOutShowsLife"
    assert refused([answered, *looks[1:]]) == "SurvivorMissing"
    assert refused([*looks[:-1], unread]) == "LeaderUnread"
    assert refused([*looks[:-1], replace(unread, error_kind="timeout")]) == NOT_READ_IN_TIME
    assert NOT_READ_IN_TIME in BY_ANOTHER_LOOK  # one slow read on a busy machine is no reason to stop
    assert refused(looks, "id-1") == "NamedAnswers"
    assert refused(looks) == "plan"


def change(vantage: Vantage, **fields: object) -> str:
    """What is refused where the second of two survivors of five says this."""
    looks = []
    for at in (0.0, 15.0, 30.0):
        view = look([SURVIVOR, SURVIVOR, DEAD, DEAD, DEAD], at)
        first, second = view.vantages
        assert second.url == vantage.url
        looks.append(replace(view, vantages=(first, replace(second, **fields))))  # type: ignore[arg-type]
    return refused(looks)


def test_survivors_must_be_read_and_fit_together() -> None:
    """Each in the other's configuration at its own address, its log known, and a version that can read the file."""
    second = look([SURVIVOR, SURVIVOR, DEAD, DEAD, DEAD]).vantages[1]
    held = second.configuration or Configuration(())
    moved = Configuration((replace(held.peers[0], address="10.0.0.9:4647"), *held.peers[1:]))
    assert change(second) == "plan"
    assert change(second, configuration=held.without("id-1")) == "SurvivorsDisagree"
    assert change(second, configuration=moved) == "SurvivorsDisagree"
    assert change(second, configuration=held.without("id-4")) == "plan", "an unfinished removal hides nobody"
    assert change(second, configuration=None) == "SurvivorUnreadable"
    assert change(second, last_log_index=None) == "SurvivorUnreadable"
    assert change(second, forbidden=True) == "SurvivorUnreadable"
    assert change(second, raft_address="10.0.0.77:4647") == "SurvivorMoved"
    assert change(second, other_id="id-9") == "BehindOneAddress"
    assert change(second, version="0.9.1") == "FormatNotRead"


def planned(view: ClusterView) -> RecoveryPlan:
    looks = [replace(view, taken_at=at) for at in (0.0, 15.0, 30.0)]
    named = frozenset({"id-3", "id-4", "id-5"})
    made = plan_recovery(RecoveryEvidence(looks, named=named))
    assert isinstance(made, RecoveryPlan), made
    return made


def test_whose_log_is_furthest_and_what_may_be_lost() -> None:
    """Two of five are left: the term decides before the index, and what was acknowledged may be lost."""
    view = look([SURVIVOR, SURVIVOR, DEAD, DEAD, DEAD])
    first, second = view.vantages
    plan = planned(replace(view, vantages=(first, replace(second, last_log_term=3, last_log_index=7, commit_index=5))))
    assert [(one.peer.label, one.log) for one in plan.survivors] == [("s2.global", (3, 7)), ("s1.global", (2, 100))]
    told = " ".join(plan.losses)
    assert "MAY BE LOST: 3 of 5 voters are left out, and 3 are enough to accept a change" in told
    assert "that of s2.global holds 2 entries more than it knew to be committed" in told
    assert "s1.global ends at 2/100): start s2.global first" in told


def test_two_of_four_hold_all_that_was_acknowledged() -> None:
    """Three of four had to agree, and only two are left out."""
    told = " ".join(planned(look([SURVIVOR, SURVIVOR, DEAD, DEAD])).losses)
    assert "Nothing that was acknowledged should be lost: a change needed 3 of 4 voters, and 2 are left out" in told


def test_a_non_voter_stays_one_unless_it_holds_more_than_every_voter_that_is_left() -> None:
    """A log that cannot lead is cut off."""
    view = look([replace(SURVIVOR, voter=False), SURVIVOR, DEAD, DEAD, DEAD])
    votes = {entry["id"]: entry["non_voter"] for entry in json.loads(planned(view).text)}
    assert votes == {"id-1": False, "id-2": False}
    behind = replace(view, vantages=(replace(view.vantages[0], last_log_index=1), view.vantages[1]))
    votes = {entry["id"]: entry["non_voter"] for entry in json.loads(planned(behind).text)}
    assert votes == {"id-1": True, "id-2": False}
    nobody = look([replace(SURVIVOR, voter=False), replace(SURVIVOR, voter=False), DEAD, DEAD, DEAD])
    plan = planned(nobody)
    assert [one.voter for one in plan.survivors] == [True, True]
    assert "s1.global and s2.global had no vote and get one" in " ".join(plan.losses)


def test_on_protocol_2_the_file_is_a_list_of_addresses() -> None:
    """The other form makes the server exit."""
    view = look([SURVIVOR, SURVIVOR, DEAD, DEAD, DEAD])
    peers = Configuration(tuple(replace(peer(n), protocol=2) for n in range(1, 6)))
    held = replace(view, vantages=tuple(replace(v, configuration=peers) for v in view.vantages))
    assert json.loads(planned(held).text) == ["10.0.0.1:4647", "10.0.0.2:4647"]


def test_the_plan_as_a_person_reads_it(rewrite: bool) -> None:
    """Whole, as it is printed."""
    lines = format_plan(planned(look([SURVIVOR, SURVIVOR, DEAD, DEAD, DEAD])))
    if rewrite:
        TRANSCRIPT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert lines == TRANSCRIPT.read_text(encoding="utf-8").splitlines()
    prose = "\n".join(lines).partition("# ----")[0]
    assert max(map(len, prose.splitlines())) <= 78  # it is read at a terminal of 80 columns


def test_a_name_or_a_folder_with_a_line_break_ends_no_comment_and_no_part() -> None:
    """Servers choose them, and what is printed is pasted into a shell."""
    view = look([SURVIVOR, SURVIVOR, DEAD, DEAD, DEAD])
    hostile = "s1\nRECOVERY\ntouch /hostile\n"
    peers = tuple(replace(each, name=hostile) for each in (view.vantages[0].configuration or Configuration(())).peers)
    said = (replace(v, configuration=Configuration(peers), data_dir=hostile, version="1.8.7") for v in view.vantages)
    lines = format_plan(planned(replace(view, vantages=tuple(said))))
    assert [line for line in lines if line.startswith("touch")] == []
    assert lines.count("RECOVERY") == 2
