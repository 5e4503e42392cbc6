"""What etcd 3.4.23 and 3.6.14 answer, as they were seen, and what no etcd answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runbook.cluster.etcd import replies
from runbook.cluster.etcd.errors import error_of
from runbook.cluster.etcd.replies import PeerStreams
from runbook.cluster.http import Reply
from runbook.errors import ClusterError, ErrorKind

HEADER = {"cluster_id": "8539574575325880868", "member_id": "16736524164829998469", "raft_term": "2"}
S3 = {
    "ID": "70430773423206524",
    "name": "e3",
    "peerURLs": ["http://127.71.0.3:2380"],
    "clientURLs": ["http://127.71.0.3:2379"],
}
NEWCOMER = {"ID": "5935202023702063657", "peerURLs": ["http://127.79.0.1:2380"], "isLearner": True}


def test_ids_are_decimal_in_json_and_hexadecimal_everywhere_else() -> None:
    """A person copies what `etcdctl` prints; a removal needs the decimal form back."""
    told = replies.member_list({"header": HEADER, "members": [S3, NEWCOMER]}, "http://e1")
    assert [peer.id for peer in told.configuration.peers] == ["525e12cb64f0ea29", "fa386a4f25707c"]
    assert (told.member_id, told.cluster_id) == ("e844140dd36eed85", f"{8539574575325880868:x}")
    assert replies.decimal_id("fa386a4f25707c") == "70430773423206524"


def test_a_member_that_was_added_and_not_started_has_no_name_and_a_learner_no_vote() -> None:
    told = replies.member_list({"header": HEADER, "members": [S3, NEWCOMER]}, "http://e1")
    newcomer, s3 = told.configuration.peers
    assert (newcomer.name, newcomer.voter, newcomer.address) == (None, False, "127.79.0.1:2380")
    assert (s3.name, s3.voter, told.client_urls[s3.id]) == ("e3", True, ("http://127.71.0.3:2379",))


ODD_MEMBERS: list[tuple[str, Any]] = [
    ("no header", {"members": [S3]}),
    ("a page", []),
    ("an id that is a number, which has lost digits", {"header": HEADER, "members": [{**S3, "ID": 70430773423206524}]}),
    ("an id of 5,000 digits", {"header": HEADER, "members": [{**S3, "ID": "9" * 5000}]}),
    ("no peer address", {"header": HEADER, "members": [{**S3, "peerURLs": []}]}),
    ("a peer address without a port", {"header": HEADER, "members": [{**S3, "peerURLs": ["http://e3"]}]}),
    ("a name that is a list", {"header": HEADER, "members": [{**S3, "name": ["e3"]}]}),
    ("ten thousand members", {"header": HEADER, "members": [S3] * 10_000}),
]


@pytest.mark.parametrize(("what", "reply"), ODD_MEMBERS, ids=[what for what, _ in ODD_MEMBERS])
def test_a_list_that_no_etcd_sends_is_not_believed(what: str, reply: Any) -> None:
    with pytest.raises(ClusterError, match="http://e1 sent no readable member list") as caught:
        replies.member_list(reply, "http://e1")
    assert caught.value.kind is ErrorKind.BAD_REPLY


def test_a_member_without_a_leader_names_none() -> None:
    """3.4 leaves the key out; 0 is the number of nobody."""
    told = {"header": HEADER, "version": "3.4.23", "raftIndex": "12", "raftTerm": "2", "errors": ["no leader"]}
    for more in ({}, {"leader": "0"}):
        status = replies.status({**told, **more}, "http://e1")
        assert (status.leader, status.term, status.index) == (None, 2, 12)


METRICS = """\
# TYPE etcd_network_active_peers gauge
etcd_network_active_peers{Local="7ed8401bdfd8a881",Remote="1e49aca2afbf8c83"} 0
etcd_network_active_peers{Local="7ed8401bdfd8a881",Remote="fa386a4f25707c"} 1
etcd_server_id{server_id="7ed8401bdfd8a881"} 1
"""


def test_streams_are_those_of_the_member_that_was_asked() -> None:
    """Behind a balancer another member's page may come: its streams are not this one's."""
    came = 'etcd_network_peer_received_bytes_total{From="fa386a4f25707c"} 1.2345678e+07\n'
    assert replies.streams(METRICS + came, "7ed8401bdfd8a881") == {
        "1e49aca2afbf8c83": PeerStreams(False),
        "fa386a4f25707c": PeerStreams(True, 12345678.0),
    }
    odd = 'etcd_network_peer_received_bytes_total{From="fa386a4f25707c"} NaN\n'
    assert replies.streams(METRICS + odd, "7ed8401bdfd8a881")["fa386a4f25707c"] == PeerStreams(True)
    assert replies.streams(METRICS, "fa386a4f25707c") == {}
    assert replies.streams("404 page not found", "7ed8401bdfd8a881") == {}


ERRORS = [
    # status, body, whether it was a change, what it means
    (404, {"error": "e", "code": 5, "message": "etcdserver: member not found"}, True, ErrorKind.NOT_A_PEER),
    (404, {"code": 5, "message": "etcdserver: member not found"}, True, ErrorKind.NOT_A_PEER),
    (503, {"code": 14, "message": "etcdserver: unhealthy cluster"}, True, ErrorKind.UNAVAILABLE),
    (
        412,
        {"code": 9, "message": "etcdserver: re-configuration failed due to not enough started members"},
        True,
        ErrorKind.UNAVAILABLE,
    ),
    (503, {"code": 14, "message": "etcdserver: request timed out"}, True, ErrorKind.AMBIGUOUS),
    (503, {"code": 14, "message": "etcdserver: request timed out"}, False, ErrorKind.UNAVAILABLE),
    (503, {"code": 14, "message": "etcdserver: no leader"}, True, ErrorKind.NO_LEADER),
    (503, {"code": 14, "message": "etcdserver: leader changed"}, True, ErrorKind.AMBIGUOUS),
    (400, {"code": 3, "message": "etcdserver: user name is empty"}, False, ErrorKind.FORBIDDEN),
    (403, {"code": 7, "message": "etcdserver: permission denied"}, True, ErrorKind.FORBIDDEN),
    (401, {"code": 16, "message": "etcdserver: invalid auth token"}, True, ErrorKind.FORBIDDEN),
    (
        400,
        {"code": 3, "message": "etcdserver: authentication failed, invalid user ID or password"},
        False,
        ErrorKind.FORBIDDEN,
    ),
    (400, {"code": 9, "message": "etcdserver: user name not found"}, True, ErrorKind.FORBIDDEN),
    (500, {"code": 2, "message": "something new"}, True, ErrorKind.AMBIGUOUS),
    (500, {"code": 2, "message": "something new"}, False, ErrorKind.UNAVAILABLE),
]


@pytest.mark.parametrize(("status", "body", "changes", "kind"), ERRORS)
def test_an_error_is_known_by_its_message(status: int, body: dict[str, Any], changes: bool, kind: ErrorKind) -> None:
    """3.4 sends `error` and `message`, 3.6 only `message`."""
    error = error_of("POST http://e1/v3", Reply(status, {}, json.dumps(body).encode()), changes=changes)
    assert error.kind is kind
    assert body["message"] in error.sentence


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, {"code": 7, "message": "etcdserver: permission denied"}),
     (500, {"grpc_code": 2, "http_code": 500, "message": "auth: permission denied"})],
)  # fmt: skip
def test_the_error_of_a_stream_is_told_within_one(status: int, error: dict[str, Any]) -> None:
    """A snapshot's: 3.6, and 3.4."""
    told = error_of("POST http://e1/v3", Reply(status, {}, json.dumps({"error": error}).encode()), changes=False)
    assert (told.kind, told.sentence) == (
        ErrorKind.FORBIDDEN,
        f"POST http://e1/v3 answered {status}: {error['message']}",
    )


def test_a_client_certificate_with_a_common_name_is_named() -> None:
    """With one the gateway takes no question at all, once authentication is on: both releases, as plain text."""
    words = b"CommonName of client sending a request against gateway will be ignored and not used as expected\n"
    told = error_of("POST http://e1/v3", Reply(400, {}, words), changes=False)
    assert told.kind is ErrorKind.FORBIDDEN
    assert "a client certificate without a common name" in told.next_action


def test_a_gateway_that_is_off_is_named() -> None:
    """3.4 that reads its settings from a file has no JSON gateway unless the file says so."""
    error = error_of("POST http://e1/v3", Reply(404, {}, b"404 page not found\n"), changes=False)
    assert error.kind is ErrorKind.BAD_REPLY
    assert "enable-grpc-gateway" in error.next_action
