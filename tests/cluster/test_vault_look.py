"""What a look at Vault or OpenBao finds, and what several say together: who leads, who lives, who is only sealed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runbook.errors import ClusterError, ErrorKind
from runbook.raft.liveness import Liveness, Verdict, judge
from runbook.raft.model import ClusterView, Reach
from runbook.raft.quorum import voters_in_contact
from tests.cluster.vault_world import VaultWorld, url

APART = 10.0  # seconds between two looks


def looks(world: VaultWorld, *addresses: str, many: int = 3, **more: object) -> list[ClusterView]:
    """Of one process, as a run takes them."""
    cluster, found = world.cluster(*addresses, **more), []
    for _ in range(many):
        found.append(cluster.look())
        world.sleep(APART)
    return found


def verdicts(views: list[ClusterView], *, confirmed_off: bool = False) -> dict[str, Verdict]:
    seen = views[-1].best_configuration
    peers = seen.peers if seen else ()
    return {p.id: judge(views, p, confirm_for=APART, confirmed_off=confirmed_off) for p in peers}


def letters(views: list[ClusterView], **more: bool) -> str:
    return "".join(verdict.liveness.name[0] for _, verdict in sorted(verdicts(views, **more).items()))


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        ("asss", "AAAA"),
        ("ssas", "AAAA"),
        ("asd", "AAD"),
        ("assdd", "AAADD"),
        ("asf", "AAU"),  # kill -STOP: it accepts and says nothing
        ("asx", "AAU"),  # it was restarted, and waits for its key: never dead
        ("ase", "AAU"),  # a server without data runs there
        ("axxds", "AUUDA"),
        ("asfx", "AAUU"),
    ],
)
def test_verdicts(world: str, expected: str) -> None:
    assert letters(looks(VaultWorld(world))) == expected


def test_a_machine_that_is_off_is_dead_after_two_minutes() -> None:
    world = VaultWorld("asso")
    views = looks(world, many=16)
    assert letters(views[:8]) == "AAAU"
    assert letters(views) == "AAAD"


@pytest.mark.parametrize("silence", [0.0, 4.0, 20.0, 55.0])
def test_a_server_that_echoed_within_a_minute_is_not_dead_yet(silence: float) -> None:
    """And one that echoed seconds ago, and whose port is refused now, is no living one either: it is waited for."""
    views = looks(VaultWorld("assd", silence=silence), many=1)
    assert letters(views) == "AAAU"


def test_who_is_sealed_is_told_what_it_waits_for() -> None:
    verdict = verdicts(looks(VaultWorld("assx")))["s4"]
    assert verdict.evidence == (f"{url(4)} answers and waits for its key: 1 of 3 key shares given",)
    assert verdict.settled_by == f"Unseal it: bao operator unseal -address={url(4)}"


def test_a_sealed_server_is_not_alive_although_it_echoed_a_moment_ago() -> None:
    """It was restarted just now: it counts for nobody's quorum."""
    views = looks(VaultWorld("assx", silence=2.0), many=1)
    assert letters(views) == "AAAU"
    assert "s4" not in voters_in_contact(views[-1])


@pytest.mark.parametrize("letter", ["d", "x"])
def test_where_apis_are_out_of_reach_a_dead_server_cannot_be_told_from_a_sealed_one(letter: str) -> None:
    """Through one door, with every other API bound to loopback: only a person's word makes it dead."""
    world = VaultWorld("ass" + letter, apis=frozenset({2}))
    views = looks(world, url(2))
    verdict = verdicts(views)["s4"]
    assert letters(views) == "AAAU"
    assert verdict.blind
    assert "may be sealed" in verdict.evidence[0]
    assert letters(looks(world, url(2)), confirmed_off=True) == "AAAD"


@pytest.mark.parametrize(("letter", "expected"), [("x", "AAAU"), ("d", "AAAD")])
def test_an_address_that_was_written_down_wrong_is_not_the_only_one_that_is_tried(letter: str, expected: str) -> None:
    """Nobody listens at s4's port 8300, dead or sealed; nor at s2's, which lives."""
    servers = {"http://10.0.0.4:8300": "s4", "http://10.0.0.2:8300": "s2"}
    assert letters(looks(VaultWorld("ass" + letter), url(1), *servers, servers=servers)) == expected


def test_through_one_door_everybody_is_found() -> None:
    """Where the others' APIs are as the door's own is."""
    (view,) = looks(VaultWorld("sass"), url(3), many=1)
    assert {v.server_id: v.url for v in view.answering} == {f"s{n}": url(n) for n in (1, 2, 3, 4)}
    assert view.leader_id == "s2"
    assert view.leader_term == 3
    assert view.removal_is_final


def test_a_quorum_is_counted_by_echoes_that_came_between_two_looks() -> None:
    """One look shows who lives; who follows is shown by a second one, as autopilot's numbers may be a guess."""
    world = VaultWorld("asss")
    cluster = world.cluster()
    assert voters_in_contact(cluster.look()) == {"s1"}
    world.sleep(5.5)
    assert voters_in_contact(cluster.look()) == {"s1", "s2", "s3", "s4"}


def test_after_an_election_autopilot_has_heard_from_everybody_and_nobody_is_alive_by_that() -> None:
    """It counts from the election: s3 shows 2 s, and never echoed to this active server."""
    world = VaultWorld("asso", apis=frozenset({1, 2, 3}), elected_ago=2.0)
    (view,) = looks(world, many=1)
    words = view.opinions["s1"]["s4"].words
    assert words == "no echo for 2 s"
    assert letters([view]) == "AAAU"


def test_a_removed_server_that_runs_on_is_named_and_its_old_list_counts_for_nothing() -> None:
    (view,) = looks(VaultWorld("assr"), url(4), many=1)
    assert view.leader_id == "s1"
    assert {v.server_id for v in view.answering} == {"s1", "s2", "s3"}
    removed = next(v for v in view.vantages if v.url == url(4))
    assert (removed.state, removed.configuration) == ("Removed", None)
    assert "does not list it" in str(removed.trouble)


def test_through_the_door_of_a_removed_server_alone_nothing_is_believed() -> None:
    """It shows its old list, and the active server, through it, another."""
    world = VaultWorld("assr", apis=frozenset({4}))
    (view,) = looks(world, url(4), many=1)
    assert (view.configuration, view.error_kind) == (None, ErrorKind.UNAVAILABLE.value)


def test_an_address_that_all_publish_is_nobodys() -> None:
    """A load balancer's: it is a door, and no sign of anybody's life."""
    world = VaultWorld("assd", apis=frozenset(), api_address=lambda _number: "http://balancer:8200")
    world.apis = frozenset({1})
    (view,) = looks(world, "http://balancer:8200", many=1)
    assert view.leader_id == "s1"
    assert [v.server_id for v in view.answering] == ["s1"]  # it says itself that it is active


def test_a_server_that_tells_its_id_is_believed_before_any_address() -> None:
    (view,) = looks(VaultWorld("ass", id_header=True), "http://10.0.0.2:8200", many=1)
    assert {v.url: v.server_id for v in view.vantages}["http://10.0.0.2:8200"] == "s2"
    (view,) = looks(VaultWorld("ass", id_header=True), url(2), many=1, servers={url(2): "s3"})
    other = next(v for v in view.vantages if v.url == url(2))
    assert (other.server_id, other.expected_id) == ("s2", "s3")
    assert "is given as the address of s3, but s2 answers there" in str(other.trouble)


# -- no leader


def test_without_an_active_server_nobody_leads_and_the_configuration_is_known() -> None:
    (view,) = looks(VaultWorld("ssddd"), many=1)
    assert (view.configuration, view.leader_id, view.error_kind) == (None, None, "no_leader")
    assert view.best_configuration is not None
    assert len(view.best_configuration.voters) == 5
    assert [v.server_id for v in view.answering] == ["s1", "s2"]


def test_a_standby_that_redirects_does_not_reach_the_active_server() -> None:
    """As for the ten seconds of an election: it still names the old one."""
    (view,) = looks(VaultWorld("ass", redirects=True, apis=frozenset({2, 3})), url(2), many=1)
    assert (view.leader_id, view.error_kind) == (None, "no_leader")


def test_two_that_call_themselves_active_are_both_not_believed() -> None:
    """One was frozen and wakes up."""
    world = VaultWorld("asas")
    world._leader = lambda number: {  # type: ignore[method-assign]
        "is_self": True,
        "leader_cluster_address": f"https://10.0.0.{number}:8201",
    }
    (view,) = looks(world, many=1)
    assert (view.leader_id, view.error_kind) == (None, "no_leader")
    assert "both call themselves active" in str(view.error_text)


def test_a_server_that_wakes_up_is_not_believed_while_a_quorum_follows_another() -> None:
    world = VaultWorld("asss", apis=frozenset({1, 2, 3, 4}))
    told = world._leader

    def leader(number: int) -> dict[str, object]:
        return told(number) if number == 1 else {"leader_cluster_address": "https://10.0.0.9:8201"}

    world._leader = leader  # type: ignore[method-assign]
    (view,) = looks(world, many=1)
    assert view.error_kind == "no_leader"
    assert "s1 is named active, and 3 of 4 voters follow another" in str(view.error_text)


def test_servers_of_two_clusters_are_not_taken_for_one() -> None:
    """Whoever names the servers by number has an s2 in each."""
    (view,) = looks(VaultWorld("asss", foreign=frozenset({3})), many=1)
    assert (view.configuration, view.error_kind) == (None, "rejected")
    assert f"belong to 2 clusters: {url(3)}, {url(4)}" in str(view.error_text)


def test_a_cluster_is_known_by_its_own_id_too() -> None:
    """Else a run that recovers one would hold another, whose servers have the same names."""
    (view,) = looks(VaultWorld("asx"), many=1)
    assert view.identities == {"one/s1", "one/s2", "one/s3"}
    assert replace(view, cluster_id=None).identities == {"s1", "s2", "s3"}


def test_where_all_are_sealed_the_way_out_is_a_key() -> None:
    """As after a power failure."""
    (view,) = looks(VaultWorld("xxx"), url(1), url(2), many=1)
    assert (view.configuration, view.error_kind) == (None, ErrorKind.UNAVAILABLE.value)
    assert f"Unseal it: bao operator unseal -address={url(1)}" in str(view.error_text)


def test_without_a_token_it_is_said_what_is_missing() -> None:
    (view,) = looks(VaultWorld("ass", forbidden=True), many=1)
    assert view.error_kind == "forbidden"
    policy = "The token in BAO_TOKEN needs a policy with read on sys/storage/raft/configuration"
    assert policy in str(view.error_text)
    assert all(v.forbidden for v in view.vantages)


# -- the removal


def test_a_removal_is_asked_of_the_active_server_and_a_standby_passes_it_on() -> None:
    world = VaultWorld("sasd")
    cluster = world.cluster(url(1))
    view = cluster.look()
    peer = view.configuration.peer("s4") if view.configuration else None
    assert peer is not None
    cluster.remove_peer(peer)
    assert world.changes == [(f"{url(2)}/v1/sys/storage/raft/remove-peer", {"server_id": "s4"})]
    world.apis = frozenset({1, 3})
    cluster.look()
    cluster.remove_peer(peer)
    assert world.changes[1][0].startswith((url(1), url(3)))


def test_a_redirect_of_a_removal_may_have_been_carried_out() -> None:
    """A standby sends one too where the connection to the active server broke half-way."""
    world = VaultWorld("sasd", apis=frozenset({1}))
    cluster = world.cluster(url(1))
    view = cluster.look()
    world.redirects = True
    with pytest.raises(ClusterError) as caught:
        cluster.remove_peer(view.best_configuration.peers[3])  # type: ignore[union-attr]
    assert caught.value.kind is ErrorKind.AMBIGUOUS


def test_between_looks_the_api_is_watched_too() -> None:
    """A server that comes back sealed opens no other port."""
    world = VaultWorld("assd")
    cluster = world.cluster()
    cluster.look()
    place = "10.0.0.4:8201"
    assert cluster.probe([place]) == {place: Reach.REFUSED}
    world.letters = "assx"
    assert cluster.probe([place]) == {place: Reach.ACCEPTED}


def test_the_clusters_own_minimum_is_read_and_what_is_not_read_is_not_zero(tmp_path: Path) -> None:
    (view,) = looks(VaultWorld("ass", min_quorum=3), many=1)
    assert view.autopilot is not None
    assert view.autopilot.min_quorum == 3
    world = VaultWorld("ass")
    world._settings = lambda: {"data": {"cleanup_dead_servers": False}}  # type: ignore[method-assign]
    (view,) = looks(world, many=1)
    assert view.autopilot is None
    assert "settings of autopilot" in str(view.autopilot_error)


def test_a_view_says_that_a_sealed_server_listens_at_its_api_alone() -> None:
    """Without that a refused cluster port would be enough."""
    views = [replace(view, waits_at_api=False) for view in looks(VaultWorld("assx", apis=frozenset({2})), url(2))]
    assert verdicts(views)["s4"].liveness is Liveness.DEAD
