"""How each product is asked to move its leadership, of whom, and what its answers mean. Captured from real servers."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

import pytest

from runbook.cluster.etcd.adapter import EtcdCluster
from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.cluster.hashicorp.dialects import CONSUL, NOMAD, Dialect
from runbook.cluster.http import HttpSettings
from runbook.cluster.port import TransferringCluster, transferring
from runbook.cluster.vault.adapter import VaultCluster
from runbook.cluster.vault.products import OPENBAO
from runbook.cluster.with_hosts import ClusterWithHosts
from runbook.errors import ClusterError, ErrorKind, StepError
from runbook.raft.model import Peer
from tests.cluster.stub import Answer, reply, stub
from tests.cluster.test_with_hosts import StandingCluster
from tests.raft.worlds import Kind

UUID = "382fe9e9-0ab6-0469-9bcc-cdf28c56c5d2"
TO = Peer(UUID, "127.0.0.12:4647", voter=True, protocol=3)
MEMBER = Peer("2cb12d76d0b81ae0", "127.0.0.12:2380", voter=True)
DONE = {"Err": None, "From": {"Address": "a", "ID": "b"}, "Noop": False, "To": {"Address": "c", "ID": UUID}}


def ask(answer: Answer, cluster: str, to: Peer | None = TO, region: str | None = None) -> tuple[str, str]:
    """The head of the one request, and the kind of what came back."""
    with stub(lambda *_: answer) as server:
        settings, kind = HttpSettings(), "done"
        clusters: Mapping[str, Any] = {
            "nomad": lambda: HashiCorpCluster(NOMAD, (server.url,), settings, region),
            "consul": lambda: HashiCorpCluster(CONSUL, (server.url,), settings, region),
            "etcd": lambda: EtcdCluster((server.url,), settings),
            "openbao": lambda: VaultCluster(OPENBAO, (server.url,), settings),
        }
        try:
            transferring(clusters[cluster]()).transfer_leadership(to, within=5.0)
        except ClusterError as error:
            kind = error.kind.value
        ((_, head),) = server.heads
        return head.split(" HTTP/")[0], kind


@pytest.mark.parametrize(
    ("cluster", "to", "expected"),
    [
        ("nomad", TO, f"PUT /v1/operator/raft/transfer-leadership?id={UUID}"),
        ("consul", TO, f"POST /v1/operator/raft/transfer-leader?id={UUID}"),
        ("etcd", MEMBER, "POST /v3/maintenance/transfer-leadership"),
        ("openbao", None, "POST /v1/sys/step-down"),
    ],
)
def test_each_is_asked_in_its_own_words(cluster: str, to: Peer | None, expected: str) -> None:
    assert ask(reply({}), cluster, to) == (expected, "done")


@pytest.mark.parametrize(("dialect", "parameter"), [(NOMAD, "region"), (CONSUL, "dc")])
def test_the_region_goes_with_it(dialect: Dialect, parameter: str) -> None:
    head, _ = ask(reply(DONE), dialect.kind, TO, "eu west")
    assert head.endswith(f"?id={UUID}&{parameter}=eu%20west")


@pytest.mark.parametrize(
    ("cluster", "status", "text", "kind"),
    [
        ("nomad", 404, "Invalid method", ErrorKind.REJECTED),
        ("nomad", 400, f'id "{UUID}" was not found in the Raft configuration', ErrorKind.NOT_A_PEER),
        ("nomad", 503, "No cluster leader", ErrorKind.NO_LEADER),
        ("nomad", 500, "leadership transfer in progress", ErrorKind.UNAVAILABLE),
        ("nomad", 500, "failed to transfer leadership in 3 attempts. last error: EOF", ErrorKind.AMBIGUOUS),
        ("nomad", 403, "Permission denied", ErrorKind.FORBIDDEN),
        ("consul", 404, "", ErrorKind.REJECTED),
        ("etcd", 412, '{"error":"etcdserver: not leader","message":"etcdserver: not leader","code":9}',
         ErrorKind.UNAVAILABLE),
        ("etcd", 400, '{"code":9, "message":"etcdserver: not leader"}', ErrorKind.UNAVAILABLE),
        ("etcd", 400, '{"code":9, "message":"etcdserver: bad leader transferee"}', ErrorKind.REJECTED),
        ("etcd", 503, '{"code":14, "message":"etcdserver: request timed out, leader transfer took too long"}',
         ErrorKind.AMBIGUOUS),
        ("openbao", 403, '{"errors":["1 error occurred:\\n\\t* permission denied\\n\\n"]}', ErrorKind.FORBIDDEN),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_has_its_class(cluster: str, status: int, text: str, kind: ErrorKind) -> None:
    to = {"etcd": MEMBER, "openbao": None}.get(cluster, TO)
    assert ask(reply(text, status), cluster, to)[1] == kind.value


def test_a_token_without_sudo_is_told_what_step_down_needs() -> None:
    with (
        stub(lambda *_: reply({"errors": ["permission denied"]}, 403)) as server,
        pytest.raises(ClusterError) as caught,
    ):
        VaultCluster(OPENBAO, (server.url,), HttpSettings()).transfer_leadership(None)
    assert "a policy with update and sudo on sys/step-down" in str(caught.value)


def test_a_cluster_whose_machines_are_known_passes_it_on() -> None:
    class Moving(StandingCluster):
        def __init__(self) -> None:
            super().__init__(Kind())
            self.asked: list[Peer | None] = []

        def transfer_leadership(self, to: Peer | None, *, within: float = inf) -> None:
            self.asked.append(to)

    inner = Moving()
    hosted = ClusterWithHosts(inner, {})
    assert isinstance(hosted, TransferringCluster)
    hosted.transfer_leadership(TO, within=1.0)
    assert inner.asked == [TO]
    with pytest.raises(StepError, match="is not moved by a request"):
        ClusterWithHosts(StandingCluster(Kind()), {}).transfer_leadership(TO)


def test_a_dry_run_sends_none_of_it() -> None:
    """Whatever a step believes: the door to the network is read-only there."""
    with stub(lambda *_: reply({})) as server:
        cluster = HashiCorpCluster(NOMAD, (server.url,), HttpSettings(read_only=True), None)
        with pytest.raises(ClusterError, match="a dry run sends no PUT"):
            cluster.transfer_leadership(TO)
        assert server.heads == []
