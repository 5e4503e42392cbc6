"""A look at several servers: who is asked, in how much time, and where a removal then goes."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import pytest

from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.cluster.hashicorp.dialects import NOMAD
from runbook.cluster.http import HttpSettings, Reply
from runbook.cluster.network import SystemNetwork
from runbook.errors import ClusterError, ErrorKind
from runbook.lab.simulated import SimulatedLab
from runbook.raft.model import Reach
from tests.cluster.stub import RAFT, SELF, Answer, Server, Stub, reply, silence, stub
from tests.conftest import port_free_on

HOSTS = {f"s{n}": f"127.0.0.{n}" for n in range(1, 6)}


@contextmanager
def servers(
    *names: str,
    leader: str = "s1",
    down: tuple[str, ...] = (),
    odd: dict[str, dict[str, Answer]] | None = None,
) -> Iterator[dict[str, Stub]]:
    """Healthy servers that know each other, on one port; of those that are down nobody listens."""
    port, raft = port_free_on(*HOSTS.values()), port_free_on(*HOSTS.values())
    where = {name: f"{HOSTS[name]}:{raft}" for name in names}
    with ExitStack() as stack:
        running = {}
        for name in names:
            table = Server(name, where, leader=leader, failed=down, odd=(odd or {}).get(name))
            if name not in down:
                running[name] = stack.enter_context(stub(table, host=HOSTS[name], port=port))
        yield running


def cluster(*urls: str) -> HashiCorpCluster:
    return HashiCorpCluster(NOMAD, urls, HttpSettings(headers={"X-Nomad-Token": "t"}), None)


def hung(*names: str) -> dict[str, dict[str, Answer]]:
    paths = (SELF, RAFT, "/v1/agent/members", "DELETE")
    return {name: dict.fromkeys(paths, silence) for name in names}


def test_a_look_finds_all_servers_from_one_address(impatient: float) -> None:
    """Gossip names the others; each says who it is, and each peer's Raft port is tried."""
    with servers("s1", "s2", "s3") as running:
        view = cluster(running["s2"].url).look()
        assert {vantage.server_id for vantage in view.answering} == {"s1-id", "s2-id", "s3-id"}
        assert view.leader_id == "s1-id"
        assert view.error_kind is None
        assert len(view.probes) == 3
        assert set(view.probes.values()) == {Reach.REFUSED}


@pytest.mark.parametrize("entry", ["s1", "s4"], ids=["asked at one that answers", "asked at a hung one too"])
def test_two_hung_servers_of_five_cost_one_time_out(entry: str, impatient: float) -> None:
    """They accept and never answer; they are waited for together, not one after the other."""
    with servers(*HOSTS, odd=hung("s4", "s5")) as running:
        urls = dict.fromkeys((running[entry].url, running["s1"].url))
        began = time.monotonic()
        view = cluster(*urls).look()
        assert time.monotonic() - began < 1.5 * impatient
        assert len(view.answering) == 3
        assert view.leader_id == "s1-id"
        mute = {vantage.expected_id: vantage.reach for vantage in view.vantages if vantage.server_id is None}
        assert mute == {"s4-id": Reach.ACCEPTED, "s5-id": Reach.ACCEPTED}


def test_a_slow_leader_is_waited_for_beside_a_hung_server(impatient: float) -> None:
    """A look that is made of one wait after the other is too old for a change (I15)."""
    configuration = Server("s1", {name: f"{host}:4647" for name, host in HOSTS.items()}).answers[RAFT]

    def slow_unless_stale(server: Stub, line: socket.socket) -> None:
        if "stale" not in server.heads[-1][1]:
            time.sleep(0.8 * impatient)
        line.sendall(cast(bytes, configuration))

    with servers(*HOSTS, odd={"s1": {RAFT: slow_unless_stale}, **hung("s5")}) as running:
        began = time.monotonic()
        view = cluster(running["s1"].url).look()
        assert time.monotonic() - began < 1.6 * impatient
        assert view.leader_id == "s1-id"


def test_one_refused_token_beside_servers_that_answer_is_no_trouble(impatient: float) -> None:
    """One server out of step (an ACL not replicated yet) does not stop a recovery; it is told at that vantage."""
    with servers("s1", "s2", "s3", odd={"s2": {SELF: reply("Permission denied", 403)}}) as running:
        view = cluster(running["s2"].url, running["s3"].url).look()
        assert view.error_kind is None
        assert view.leader_id == "s1-id"
        (refused,) = [vantage for vantage in view.vantages if vantage.server_id is None]
        assert (refused.expected_id, refused.reach) == ("s2-id", Reach.ANSWERED)
        assert "403" in str(refused.trouble)


def test_a_token_refused_by_all_is_forbidden_although_another_address_is_dead(impatient: float) -> None:
    """Of several reasons the one that the operator can mend at once comes first; the others are told too."""
    with servers("s1", odd={"s1": {SELF: reply("Permission denied", 403)}}) as running:
        view = cluster("http://127.0.0.9:1", running["s1"].url).look()
        assert view.error_kind == "forbidden"
        assert running["s1"].url in str(view.error_text)
        assert "http://127.0.0.9:1" in str(view.error_text)


def test_a_leader_that_denies_it_is_none(impatient: float) -> None:
    """A server that was frozen may name itself, or another, from before it froze."""
    raft = {"state": "Follower", "term": "8"}
    tags = {"role": "nomad", "region": "global", "id": "s1-id", "port": "1"}
    denying = reply({"member": {"Name": "s1.global", "Addr": HOSTS["s1"], "Status": "alive", "Tags": tags},
                     "stats": {"raft": raft}})  # fmt: skip
    with servers("s1", "s2", "s3", odd={"s1": {SELF: denying}}) as running:
        view = cluster(running["s2"].url).look()
        assert view.error_kind == "no_leader"
        assert view.configuration is None
        assert view.leader_id is None


def test_a_client_agent_is_asked_for_the_servers(impatient: float) -> None:
    """The default address is often that of a client agent: no server, but its gossip names them."""
    client = reply({"config": {"Region": "global"}, "member": {"Name": "", "Addr": None, "Tags": None}, "stats": {}})
    with servers("s1", "s2", "s3") as running:
        members = Server("s1", {name: f"{HOSTS[name]}:4647" for name in running}).answers["/v1/agent/members"]
        agent = {SELF: client, "/v1/agent/members": members}
        port = running["s1"].port
        with stub(lambda _, path: agent.get(path, reply("no", 404)), host="127.0.0.77", port=port) as local:
            target = cluster(local.url)
            view = target.look()
            assert {vantage.server_id for vantage in view.answering} == {"s1-id", "s2-id", "s3-id"}
            target.remove_peer(view.configuration.peers[2])  # type: ignore[union-attr]
            assert local.asked("DELETE") == []


def test_a_client_agent_alone_asks_for_a_servers_address(impatient: float) -> None:
    """Rather than a list of failures without a hint."""
    with stub(lambda _, path: reply({"member": {"Tags": None}} if path == SELF else {"Members": []})) as local:
        view = cluster(local.url).look()
        assert view.error_kind == "unreachable"
        assert "client agent" in str(view.error_text)
        assert "NOMAD_ADDR" in str(view.error_text)


def test_a_removal_is_asked_of_the_leader_itself(impatient: float) -> None:
    """A forwarded one has a hop more to get lost on."""
    with servers("s1", "s2", "s3", "s4", leader="s3", down=("s4",)) as running:
        target = cluster(running["s1"].url)
        dead = target.look().configuration.peer("s4-id")  # type: ignore[union-attr]
        assert dead
        target.remove_peer(dead)
        assert {name: len(server.asked("DELETE")) for name, server in running.items()} == {"s1": 0, "s2": 0, "s3": 1}


def test_a_removal_goes_elsewhere_only_when_it_surely_did_not_arrive(impatient: float) -> None:
    """Nobody listens at the leader's address any more: the next server is asked, once."""
    with servers("s1", "s2", "s3") as running:
        target = cluster(running["s2"].url)
        peer = target.look().configuration.peers[2]  # type: ignore[union-attr]
        running["s1"].stop()
        time.sleep(0.1)
        target.remove_peer(peer)
        assert [len(server.asked("DELETE")) for server in running.values()] == [0, 1, 0]


def test_a_removal_that_may_have_arrived_is_not_asked_of_another(impatient: float) -> None:
    """The leader took it and did not answer: only a look can tell."""
    with servers("s1", "s2", "s3", odd={"s1": {"DELETE": silence}}) as running:
        target = cluster(running["s2"].url)
        peer = target.look().configuration.peers[2]  # type: ignore[union-attr]
        with pytest.raises(ClusterError) as caught:
            target.remove_peer(peer)
        assert caught.value.kind is ErrorKind.AMBIGUOUS
        assert [len(server.asked("DELETE")) for server in running.values()] == [1, 0, 0]


def test_the_address_of_the_killed_leader_among_others_is_enough() -> None:
    """The one server whose address was noted down is the one that died: the other address leads to the new leader."""
    with SimulatedLab(3, gossip_delay=0.2) as lab:
        killed = lab.wait_for_leader()
        url = dict(zip(lab.names, lab.addresses, strict=True))
        other = next(name for name in lab.names if name != killed)
        target = cluster(url[killed], url[other])
        assert target.look().leader_id == lab.ids[killed]
        lab.kill(killed)
        lab.wait_for_gossip(killed, "failed")
        leader = lab.wait_for_leader()
        view = target.look()
        assert view.leader_id == lab.ids[leader]
        gone = view.configuration.peer(lab.ids[killed])  # type: ignore[union-attr]
        assert gone
        target.remove_peer(gone)
        assert [(asked.server, asked.method) for asked in lab.requests if asked.method != "GET"] == [(leader, "DELETE")]
        assert len(target.look().configuration.peers) == 2  # type: ignore[union-attr]


def test_a_check_tries_ports_only_where_somebody_does_not_answer(impatient: float) -> None:
    """Whoever answers for itself lives, whatever its port does; a port decides of those that are silent."""
    for down in ((), ("s3",)):
        with servers("s1", "s2", "s3", down=down) as running:
            checked = HashiCorpCluster(NOMAD, (running["s1"].url,), HttpSettings(), None, patient=False)
            assert len(checked.look().probes) == (3 if down else 0)


def test_the_only_address_is_that_of_a_dead_server(impatient: float) -> None:
    """Nothing can be found then, and the words say where nobody listens."""
    view = cluster("http://127.0.0.1:1").look()
    assert view.error_kind == "unreachable"
    assert "GET http://127.0.0.1:1/v1/agent/self: nothing listens there" in str(view.error_text)


def test_two_addresses_of_one_server_are_one_vantage(impatient: float) -> None:
    """Its opinion counts once."""
    with servers("s1") as running, stub(running["s1"].table, host="127.0.0.66") as alias:
        view = cluster(alias.url, running["s1"].url).look()
        assert [vantage.url for vantage in view.vantages] == [alias.url]


class Recorder:
    """The system's own network; each question that goes through is noted, and some answers are made up."""

    def __init__(self, inner: SystemNetwork, slow: float, silent: str) -> None:
        self.inner, self.slow, self.silent = inner, slow, silent
        self.asked: list[str] = []
        self.slept = 0.0

    def monotonic(self) -> float:
        return self.inner.monotonic()

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def ask(self, url: str, method: str, path: str, **more: Any) -> Reply:
        self.asked.append(path)
        if path == RAFT:
            time.sleep(self.slow)
        return self.inner.ask(url, method, path, **more)

    def probe(self, address: str) -> Reach:
        self.asked.append(address)
        return Reach.SILENT if address.startswith(f"{self.silent}:") else Reach.ACCEPTED

    def gather(self, *words: Any) -> Any:
        return self.inner.gather(*words)


def test_the_raft_ports_are_tried_last_and_a_looks_age_counts_from_its_beginning(impatient: float) -> None:
    """I15: a server that came back while the leader was slow is seen; what follows knows how old the rest is."""
    settings = HttpSettings(headers={"X-Nomad-Token": "t"})
    with servers("s1", "s2", "s3", down=("s3",)) as running:
        network = Recorder(SystemNetwork(settings), 0.2, HOSTS["s3"])
        target = HashiCorpCluster(NOMAD, (running["s1"].url,), settings, None, network)
        began = network.monotonic()
        view = target.look()
        assert view.taken_at - began < 0.1
        assert 0.2 <= view.seconds < 0.2 + 2 * impatient
        probed = [number for number, what in enumerate(network.asked) if ":" in what]
        assert min(probed) > network.asked.index(RAFT)


def test_where_a_raft_port_is_silent_the_machines_are_asked_whether_they_are_up(impatient: float) -> None:
    """A frozen process with a full listen queue is told apart from a machine that is off, by its other ports."""
    settings = HttpSettings(headers={"X-Nomad-Token": "t"})
    with servers("s1", "s2", "s3", down=("s3",)) as running:
        network = Recorder(SystemNetwork(settings), 0.0, HOSTS["s3"])
        view = HashiCorpCluster(NOMAD, (running["s1"].url,), settings, None, network).look()
        tried = {address.rpartition(":")[0]: set(ports) for address, ports in view.hosts.items()}
        assert tried == {HOSTS[name]: {9, 22, 4646, 4648} for name in ("s1", "s2", "s3")}
        network.silent = "none"
        assert HashiCorpCluster(NOMAD, (running["s1"].url,), settings, None, network).look().hosts == {}
