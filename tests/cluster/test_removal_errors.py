"""What each refusal of a removal means: a retry, an exit code and a person's next step hang on it.

The texts are those of docs/servers/nomad.md#errors-of-a-removal.
"""

from __future__ import annotations

import pytest

from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.cluster.hashicorp.dialects import CONSUL, NOMAD, Dialect
from runbook.cluster.http import HttpSettings
from runbook.errors import ClusterError, ErrorKind
from runbook.raft.model import Peer
from tests.cluster.stub import Answer, reply, stub

UUID = "382fe9e9-0ab6-0469-9bcc-cdf28c56c5d2"
TABLE = [
    (500, f'id "{UUID}" was not found in the Raft configuration', ErrorKind.NOT_A_PEER),
    (500, 'address "127.0.0.12:4647" was not found in the Raft configuration', ErrorKind.NOT_A_PEER),
    (500, "No cluster leader", ErrorKind.NO_LEADER),
    (500, "Not ready to serve consistent reads", ErrorKind.UNAVAILABLE),
    (500, "node is not the leader", ErrorKind.UNAVAILABLE),
    (500, "leadership transfer in progress", ErrorKind.UNAVAILABLE),
    (500, "raft is already shutdown", ErrorKind.UNAVAILABLE),
    (500, "failed to get conn: dial tcp 127.0.0.12:4647: connect: connection refused", ErrorKind.UNAVAILABLE),
    (500, "leadership lost while committing log", ErrorKind.AMBIGUOUS),
    (500, "need at least one voter in configuration: {[]}", ErrorKind.REJECTED),
    (500, "Need at least one voter in configuration: {[]}", ErrorKind.REJECTED),
    (500, "operation not supported with current protocol version", ErrorKind.REJECTED),
    (500, "No path to region", ErrorKind.REJECTED),
    (500, "No servers found", ErrorKind.REJECTED),
    (500, "EOF", ErrorKind.AMBIGUOUS),
    (500, "acl token lookup failed: index error: UUID must be 36 characters", ErrorKind.FORBIDDEN),
    (500, "Permission denied", ErrorKind.FORBIDDEN),
    (500, "", ErrorKind.AMBIGUOUS),
    (500, "words of a release that is not written yet", ErrorKind.AMBIGUOUS),
    (400, "Must specify the peer's ID to remove", ErrorKind.REJECTED),
    (400, "Removing a peer by address is not supported in the current raft protocol version", ErrorKind.REJECTED),
    (403, "Permission denied", ErrorKind.FORBIDDEN),
    (403, "ACL token not found", ErrorKind.FORBIDDEN),
    (403, "ACL not found", ErrorKind.FORBIDDEN),
    (401, "", ErrorKind.FORBIDDEN),
    (404, "Invalid method", ErrorKind.REJECTED),
    (405, "", ErrorKind.REJECTED),
    (429, "Your IP is issuing too many concurrent connections, please rate limit your calls", ErrorKind.UNAVAILABLE),
    (502, "Bad Gateway", ErrorKind.AMBIGUOUS),
    (503, "No cluster leader", ErrorKind.NO_LEADER),
    (503, "Service Unavailable", ErrorKind.AMBIGUOUS),
    (504, "Gateway Timeout", ErrorKind.AMBIGUOUS),
]
PREFIXES = ("", "rpc error: ", "rpc error: rpc error: ", "rpc error making call: ", "Bad request: ")


def ask(
    answer: Answer, peer: Peer, dialect: Dialect = NOMAD, region: str | None = None
) -> tuple[str, ClusterError | None]:
    """The path that was asked, and the error."""
    with stub(lambda *_: answer) as server:
        target = HashiCorpCluster(dialect, (server.url,), HttpSettings(), region)
        error = None
        try:
            target.remove_peer(peer)
        except ClusterError as caught:
            error = caught
        (path,) = server.asked("DELETE")
        return path, error


@pytest.mark.parametrize(("status", "text", "trouble"), TABLE, ids=lambda value: str(value)[:40])
def test_a_refusal_has_its_class(status: int, text: str, trouble: ErrorKind) -> None:
    """Behind any number of forwarding prefixes; and the words of the server are told."""
    by_id = Peer(UUID, "127.0.0.12:4647", voter=True, protocol=3)
    answers = [prefix + text for prefix in PREFIXES] if text else [""]
    with stub(lambda *_: reply(answers[len(server.heads) - 1], status)) as server:
        target = HashiCorpCluster(NOMAD, (server.url,), HttpSettings(), None)
        for answer in answers:
            with pytest.raises(ClusterError) as caught:
                target.remove_peer(by_id)
            assert caught.value.kind is trouble, answer
            assert f"{status}: {answer or '(nothing)'}" in str(caught.value)


def test_what_to_remove_is_named_by_id() -> None:
    """Also where the protocol is not told, and whatever stands in the id: only protocol 2 removes by address."""
    odd = Peer("a&id=b c/ü", "127.0.0.12:4647", voter=True)
    assert ask(reply(), odd) == ("/v1/operator/raft/peer?id=a%26id%3Db%20c%2F%C3%BC", None)


def test_what_to_remove_is_named_by_address_on_protocol_2() -> None:
    """There the id is the address, and releases of that time take it so."""
    old = Peer("127.0.0.12:4647", "127.0.0.12:4647", voter=True, protocol=2)
    assert ask(reply(), old) == ("/v1/operator/raft/peer?address=127.0.0.12%3A4647", None)


@pytest.mark.parametrize(("dialect", "parameter"), [(NOMAD, "region"), (CONSUL, "dc")])
def test_the_region_goes_with_every_request(dialect: Dialect, parameter: str) -> None:
    """A federated server would otherwise act on its own region."""
    path, error = ask(reply(), Peer(UUID, "127.0.0.12:4647", voter=True), dialect, "eu west")
    assert error is None
    assert path == f"/v1/operator/raft/peer?id={UUID}&{parameter}=eu%20west"


@pytest.mark.parametrize(("dialect", "permission"), [(NOMAD, "a management token"), (CONSUL, "operator:write")])
def test_a_refused_token_names_the_permission(dialect: Dialect, permission: str) -> None:
    """The operator must know what to ask for at three in the morning."""
    _, error = ask(reply("Permission denied", 403), Peer(UUID, "127.0.0.12:4647", voter=True), dialect)
    assert permission in str(error)
