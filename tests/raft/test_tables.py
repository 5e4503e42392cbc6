"""Tables of cases as text in ``tests/tables``, each row recomputed a second, obvious way. ``--rewrite`` writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import pytest

from runbook.raft.liveness import Verdict, judge
from runbook.raft.model import ClusterView, Configuration, Member, MemberStatus, Peer, Reach, Vantage
from runbook.raft.quorum import failure_tolerance, quorum
from runbook.raft.removal import Policy, refusal_to_remove
from tests.raft.worlds import PORT, Kind, peer, verdicts_of, view_of, with_gossip

TABLES = Path(__file__).parents[1] / "tables"
SIGHTS = ("answers", "accepts", "mute", "refused", "rejected", "off", "full", "silent", "unreachable", "untried")
LEADER = ("alive", "leaving", "none", "failed", "left", "absent", "cut", "unread")
OTHERS = ("alive", "failed", "left", "absent", "unread")
Row = Sequence[str]


def compare(name: str, head: str, rows: Sequence[Row], rewrite: bool) -> None:
    text = f"# {head}\n" + "".join(f"{'  '.join(f'{word:<12}' for word in row).rstrip()}\n" for row in rows)
    if rewrite:
        (TABLES / name).write_text(text, encoding="utf-8")
    assert text == (TABLES / name).read_text(encoding="utf-8")


def liveness(sight: str, leader: str, other: str) -> Verdict:
    """Three servers: s1 leads, s2 is the other observer, s3 is judged over two minutes.

    ``rejected``: its port is refused, and so is that of s2, which answers.
    """
    target = Peer("id-3", "10.0.0.3:4647", voter=True, name=None if leader == "absent" else "s3.global")
    view = view_of([Kind(), Kind(), Kind(sight=sight if sight in ("answers", "off", "full") else "refused")])
    vantages = [
        replace(v, members=_with(v, target, {"id-1": leader, "id-2": other, "id-3": "alive"}[str(v.server_id)]))
        for v in view.vantages
    ]
    if sight == "mute":
        vantages.append(Vantage("http://10.0.0.3:4646", Reach.ACCEPTED, expected_id="id-3"))
    probes = {**view.probes, target.address: PORT.get(sight, Reach.REFUSED)}
    if sight == "rejected":
        probes[peer(2).address] = Reach.REFUSED
    if sight == "untried":
        del probes[target.address]
    peers = Configuration((peer(1), peer(2), target))
    seen = with_gossip(replace(view, configuration=peers, vantages=tuple(vantages), probes=probes))
    return judge([replace(seen, taken_at=15.0 * number) for number in range(9)], target, confirm_for=30)


def _with(vantage: Vantage, target: Peer, said: str) -> tuple[Member, ...] | None:
    """Its gossip with this word on the target; ``cut``: its configuration names the target, and this list does not."""
    if said == "unread":
        return None
    rest = tuple(member for member in vantage.members or () if member.id != target.id)
    if said in ("absent", "cut"):
        return rest
    return (*rest, Member("s3.global", MemberStatus(said), target.id, target.address))


def liveness_by_counting(sight: str, leader: str, other: str) -> str:
    if sight == "answers":
        return "alive"
    nothing_here = sight in ("refused", "off")
    gone = {"failed", "left", "absent"}
    return "dead" if nothing_here and leader in gone and other in gone | {"unread"} else "unknown"


def test_liveness(rewrite: bool) -> None:
    """Any sign of life is decisive, a probe that would look the same for the living is none, and what does not fit is
    unknown.
    """
    rows = [
        (*case, f"-> {liveness(*case).liveness.value}", liveness(*case).evidence[0])
        for case in product(SIGHTS, LEADER, OTHERS)
    ]
    for *case, verdict, _ in rows:
        assert verdict == f"-> {liveness_by_counting(*case)}", case
    head = "what this host sees of s3, what the leader's gossip says, what the other's says -> verdict, first evidence"
    compare("liveness.txt", head, rows, rewrite)


def test_quorum(rewrite: bool) -> None:
    """By looking for two groups that could decide without each other: a quorum is the least number without such two."""
    rows: list[Row] = []
    for voters in range(1, 10):
        least = next(n for n in range(1, voters + 1) if always_meet(voters, n))
        assert quorum(voters) == least
        for live in range(voters + 1):
            spare = max((lost for lost in range(live + 1) if live - lost >= least), default=0)
            assert failure_tolerance(voters, live) == spare
            rows.append((str(voters), str(live), f"-> {least}", str(spare)))
    compare("quorum.txt", "voters, live voters -> quorum, failure tolerance", rows, rewrite)


def always_meet(voters: int, size: int) -> bool:
    """Whether any two groups of this size share a voter: the first group may be any, as voters are alike."""
    first = set(range(size))
    return all(first & set(group) for group in combinations(range(voters), size))


WORLDS = ("++", "+-", "+++", "++-", "+--", "++?", "+++-", "++--", "++++-", "+++--", "++---", "+++?-", "+++--n", "++-m")
LETTER = {"+": Kind(), "-": Kind(sight="refused", gossip="failed"), "?": Kind(sight="accepts", gossip="failed"),
          "n": Kind(voter=False, sight="refused", gossip="failed"), "m": Kind(voter=False)}  # fmt: skip


def removal_by_counting(world: str, target: int, floor: int, changes: int) -> str:
    """In the order in which a person would ask."""
    voters, live = sum(c in "+-?" for c in world), world.count("+")
    letter = world[target]
    left = voters - (letter in "+-?")
    if target == 0:
        return "TargetIsLeader"
    if letter in "+m":
        return "TargetAlive"
    if letter == "?":
        return "TargetUnknown"
    if 2 * live <= voters:
        return "QuorumLost"
    if letter == "-" and left < floor:
        return "BelowMinimumVoters"
    return "TooManyChanges" if changes >= 2 else "safe"


def removal(world: str, target: int, floor: int, changes: int) -> tuple[str, str]:
    view: ClusterView = view_of([LETTER[letter] for letter in world])
    asked = peer(target + 1, LETTER[world[target]])
    policy = Policy(min_voters=floor, max_changes=2)
    reason = refusal_to_remove(view, verdicts_of(view), asked, policy, changes_so_far=changes)
    return (reason.code, str(reason)) if reason else ("safe", "")


def test_removal(rewrite: bool) -> None:
    """``+`` alive, ``-`` dead, ``?`` unknown; ``n`` a dead and ``m`` a living non-voter. The first one leads."""
    rows: list[Row] = []
    for world, floor, changes in product(WORLDS, (1, 3), (0, 2)):
        for target in {world.index(letter) for letter in world} | {0}:
            code, words = removal(world, target, floor, changes)
            assert code == removal_by_counting(world, target, floor, changes), (world, target, floor, changes)
            rows.append((world, str(target + 1), str(floor), str(changes), f"-> {code}", words))
    compare("removal.txt", "servers, target, min_voters, changes so far -> reason", rows, rewrite)


@pytest.mark.parametrize("name", ["liveness.txt", "quorum.txt", "removal.txt"])
def test_a_table_is_read_by_people(name: str) -> None:
    """Every line short enough for a review, none twice."""
    lines = (TABLES / name).read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(set(lines))
    assert all(len(line) < 250 for line in lines)


def rows_of(name: str) -> Iterator[list[str]]:
    for line in (TABLES / name).read_text(encoding="utf-8").splitlines()[1:]:
        yield line.split()


def test_nobody_is_dead_without_the_leaders_own_word() -> None:
    """Read from the table itself: every *dead* row has the leader's gossip saying gone, and nothing seen from here."""
    dead = [row for row in rows_of("liveness.txt") if "dead" in row[3:5]]
    assert len(dead) == 24
    assert {row[1] for row in dead} == {"failed", "left", "absent"}
    assert {row[0] for row in dead} == {"refused", "off"}
