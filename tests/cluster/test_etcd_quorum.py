"""What counts as a quorum's answer to a linearizable read, and what is only somebody between."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runbook.cluster.etcd.client import EtcdClient
from runbook.cluster.http import Reply
from runbook.errors import ClusterError, ErrorKind


class Member:
    """Answers every request with the same reply, at once."""

    def __init__(self, status: int, body: bytes) -> None:
        self.reply = Reply(status, {}, body)

    def monotonic(self) -> float:
        return 0.0

    def ask(self, *_: Any, **__: Any) -> Reply:
        return self.reply


def error(message: str, **more: Any) -> bytes:
    return json.dumps({"code": 7, "message": message, **more}).encode()


PROVEN = [
    (200, b'{"header":{}}'),
    (403, error("etcdserver: permission denied", error="etcdserver: permission denied")),  # 3.4
    (403, error("etcdserver: permission denied")),
    (400, error("etcdserver: user name is empty")),
]
UNPROVEN = [
    (503, error("etcdserver: request timed out"), ErrorKind.UNAVAILABLE),
    (503, error("etcdserver: no leader"), ErrorKind.NO_LEADER),
    (403, b"<html>403 Forbidden</html>", ErrorKind.FORBIDDEN),  # a proxy's own word
    (401, b"Authorization required", ErrorKind.FORBIDDEN),
    (403, error("permission denied by policy"), ErrorKind.FORBIDDEN),
    (400, error("etcdserver: authentication failed, invalid user ID or password"), ErrorKind.FORBIDDEN),
]


@pytest.mark.parametrize(("status", "body"), PROVEN)
def test_a_user_who_may_not_read_is_told_so_after_a_quorum_has_agreed(status: int, body: bytes) -> None:
    EtcdClient(Member(status, body), None, "").prove_quorum("http://e1", 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("status", "body", "kind"), UNPROVEN)
@pytest.mark.parametrize("user", [None, "root"])
def test_any_other_refusal_proves_nothing(status: int, body: bytes, kind: ErrorKind, user: str | None) -> None:
    """A removal that leaves on such a proof could be sent without quorum."""
    with pytest.raises(ClusterError) as caught:
        EtcdClient(Member(status, body), user, "secret").prove_quorum("http://e1", 1.0)  # type: ignore[arg-type]
    assert caught.value.kind is kind
