"""Members that are added and promoted: what is asked for, and what is left out as it is so already."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runbook.cluster.etcd.client import EtcdClient
from runbook.cluster.etcd.members import ADD, PROMOTE, add_learner, promote
from runbook.cluster.http import Reply
from runbook.errors import ClusterError, ErrorKind

FIRST = {"ID": "1", "name": "s1", "peerURLs": ["http://a:2380"], "clientURLs": ["http://a:2379"]}
NEW = {"ID": "255", "peerURLs": ["http://b:2380", "http://c:2380"], "isLearner": True}
NOT_IN_SYNC = "etcdserver: can only promote a learner member which is in sync with leader"
HEADER = {"cluster_id": "9", "member_id": "1"}


class Members:
    """A member that lists these, adds NEW, and answers a promotion so."""

    def __init__(self, *listed: dict[str, Any], promotion: tuple[int, str] = (200, "")) -> None:
        self.listed, self.promotion = list(listed), promotion
        self.changes: list[tuple[str, Any]] = []

    def monotonic(self) -> float:
        return 0.0

    def ask(self, _url: str, _method: str, path: str, **more: Any) -> Reply:
        if more["changes"]:
            self.changes.append((path, json.loads(more["body"])))
        if path == ADD:
            self.listed.append(NEW)
        if path == PROMOTE and self.promotion[0] != 200:
            return Reply(self.promotion[0], {}, json.dumps({"message": self.promotion[1]}).encode())
        return Reply(200, {}, json.dumps({"header": HEADER, "members": self.listed}).encode())


def client(members: Members) -> EtcdClient:
    return EtcdClient(members, None, "")  # type: ignore[arg-type]


def test_a_learner_is_added_and_all_are_told_as_initial_cluster_wants_them() -> None:
    members = Members(FIRST)
    found = add_learner(client(members), "http://a", ("http://b:2380", "http://c:2380"), 1.0)
    assert found == ("ff", {"1": "s1=http://a:2380", "ff": "=http://b:2380,=http://c:2380"})
    assert members.changes == [(ADD, {"peerURLs": NEW["peerURLs"], "isLearner": True})]


def test_one_that_is_there_is_not_added_again() -> None:
    members = Members(FIRST, NEW)
    assert add_learner(client(members), "http://a", ("http://b:2380",), 1.0)[0] == "ff"
    assert members.changes == []


def test_a_vote_is_asked_for_once() -> None:
    members = Members(FIRST, NEW)
    promote(client(members), "http://a", "ff", 1.0)
    assert members.changes == [(PROMOTE, {"ID": "255"})]
    voter = Members(FIRST, {**NEW, "isLearner": False})
    promote(client(voter), "http://a", "ff", 1.0)
    assert voter.changes == []


@pytest.mark.parametrize(
    ("listed", "promotion", "kind"),
    [
        (
            (FIRST, NEW),
            (412, "etcdserver: can only promote a learner member which is in sync with leader"),
            "UNAVAILABLE",
        ),
        ((FIRST, NEW), (503, "etcdserver: request timed out"), "AMBIGUOUS"),
        ((FIRST,), (200, ""), "NOT_A_PEER"),
        (({"ID": 1},), (200, ""), "BAD_REPLY"),
    ],
)
def test_what_went_wrong_is_told_apart(listed: tuple[Any, ...], promotion: tuple[int, str], kind: str) -> None:
    with pytest.raises(ClusterError) as caught:
        promote(client(Members(*listed, promotion=promotion)), "http://a", "ff", 1.0)
    assert caught.value.kind is ErrorKind[kind]
