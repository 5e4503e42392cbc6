"""Whether a token may remove: yes, no, or nothing that tells; only a clear no is one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runbook.cluster.etcd import permission as etcd
from runbook.cluster.etcd.client import EtcdClient
from runbook.cluster.hashicorp import permission as hashicorp
from runbook.cluster.hashicorp.client import Client
from runbook.cluster.hashicorp.dialects import CONSUL, NOMAD, Dialect
from runbook.cluster.http import Reply
from runbook.cluster.vault import permission as vault
from runbook.cluster.vault.client import VaultClient
from runbook.cluster.vault.products import OPENBAO
from runbook.errors import ClusterError, ErrorKind

READ, SIGN_IN, OWN_ROLES = "/v3/kv/range", "/v3/auth/authenticate", "/v3/auth/user/get"
REMOVAL = "/v1/sys/storage/raft/remove-peer"


class Says:
    """A server with one answer, or none."""

    def __init__(self, status: int, body: Any) -> None:
        self.status, self.body, self.asked = status, body, 0

    def monotonic(self) -> float:
        return 0.0

    def ask(self, url: str, method: str, path: str, *, changes: bool | None = None, **__: Any) -> Reply:
        assert method == "GET" or changes is False, "a dry run asks it too"
        self.asked += 1
        if self.status == 0:
            raise ClusterError(ErrorKind.TIMEOUT, "no answer")
        return Reply(self.status, {}, self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode())


def allow(answer: bool) -> list[dict[str, Any]]:
    return [{"Resource": "operator", "Access": "write", "Allow": answer}]


UNCLEAR = [(0, b""), (401, b"who are you"), (404, b""), (200, b"<html>"), (200, {}), (200, [1]), (200, [])]


@pytest.mark.parametrize(("status", "body", "no"), [(200, allow(False), True), (200, allow(True), False),
                                                     *((*each, None) for each in UNCLEAR)])  # fmt: skip
def test_consul(status: int, body: Any, no: bool | None) -> None:
    client = Client(CONSUL, Says(status, body), None)  # type: ignore[arg-type]
    reason = hashicorp.reason_not_permitted(client, "http://c1", 1.0)
    assert reason == {True: "this token has no operator:write, which a removal needs", False: "", None: None}[no]


@pytest.mark.parametrize(
    ("status", "body", "no"),
    [
        (200, {"Type": "client", "Policies": ["anonymous"]}, True),
        (200, {"Type": "management", "Policies": None}, False),
        (200, {"Type": ["management"]}, None),
        (400, b"rpc error: something else", None),
        *((*each, None) for each in UNCLEAR),
    ],
)
def test_nomad(status: int, body: Any, no: bool | None) -> None:
    client = Client(NOMAD, Says(status, body), "eu")  # type: ignore[arg-type]
    reason = hashicorp.reason_not_permitted(client, "http://n1", 1.0)
    assert reason == {True: "this is no management token, which a removal needs", False: "", None: None}[no]


@pytest.mark.parametrize(("dialect", "status"), [(CONSUL, 401), (NOMAD, 400)])
def test_without_access_control_nothing_is_refused(dialect: Dialect, status: int) -> None:
    client = Client(dialect, Says(status, b"ACL support disabled"), None)  # type: ignore[arg-type]
    assert hashicorp.reason_not_permitted(client, "http://n1", 1.0) == ""


@pytest.mark.parametrize(
    ("status", "body", "no"),
    [
        (200, {"capabilities": ["deny"]}, True),
        (200, {"capabilities": ["read", "list"]}, True),
        (200, {"capabilities": ["update"]}, False),
        (200, {"capabilities": ["root"]}, False),
        *((*each, None) for each in UNCLEAR),
    ],
)
def test_vault(status: int, body: Any, no: bool | None) -> None:
    client = VaultClient(Says(status, body), OPENBAO)  # type: ignore[arg-type]
    reason = vault.reason_not_permitted(client, "http://v1", REMOVAL, 1.0)
    sentence = "this token may not update sys/storage/raft/remove-peer, which a removal needs"
    assert reason == {True: sentence, False: "", None: None}[no]


class SaysByPath(Says):
    """One that has an answer for each path."""

    def __init__(self, answers: dict[str, tuple[int, Any]]) -> None:
        super().__init__(0, b"")
        self.answers = answers

    def ask(self, url: str, method: str, path: str, *, changes: bool | None = None, **more: Any) -> Reply:
        self.status, self.body = self.answers.get(path, (404, b""))
        return super().ask(url, method, path, changes=changes, **more)


ON: dict[str, tuple[int, Any]] = {READ: (200, {}), SIGN_IN: (200, {"token": "T.1"})}
OFF: dict[str, tuple[int, Any]] = {
    READ: (200, {}),
    SIGN_IN: (412, {"message": "etcdserver: authentication is not enabled", "code": 9}),
    OWN_ROLES: (412, {"message": "etcdserver: user name not found", "code": 9}),
}
DENIED = {"message": "etcdserver: permission denied", "code": 7}
NOT_ROOT = "the user who has not the role root, which a removal needs"


@pytest.mark.parametrize(
    ("user", "answers", "reason"),
    [
        ("who", {**ON, OWN_ROLES: (200, {"roles": ["reads", "root"]})}, ""),
        ("who", {**ON, OWN_ROLES: (200, {"roles": ["reads"]})}, NOT_ROOT),
        ("who", {**ON, READ: (403, DENIED), OWN_ROLES: (200, {})}, NOT_ROOT),  # who has no role at all
        ("who", OFF, ""),
        ("who", {**ON, OWN_ROLES: (403, DENIED)}, None),
        ("who", {**ON, OWN_ROLES: (200, [1])}, None),
        ("who", {**ON, SIGN_IN: (400, {"message": "etcdserver: authentication failed"})}, None),
        (None, OFF, None),
        (None, {READ: (403, DENIED)}, "no user is given, and a removal needs one with the role root"),
        (None, {READ: (504, b"")}, None),
    ],
)
def test_etcd(user: str | None, answers: dict[str, tuple[int, Any]], reason: str | None) -> None:
    client = EtcdClient(SaysByPath(answers), user, "secret")  # type: ignore[arg-type]
    assert etcd.reason_not_permitted(client, "http://e1", 1.0) == reason


def test_a_user_is_of_no_use_to_etcd_while_authentication_is_off_and_in_nobodys_way() -> None:
    """As with etcd's own client: switching it off is a way out of an outage, and the variable stays set."""
    assert EtcdClient(SaysByPath(OFF), "who", "secret").may_read("http://e1", 1.0)  # type: ignore[arg-type]
