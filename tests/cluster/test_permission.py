"""Whether a token may remove: yes, no, or nothing that tells; only a clear no is one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runbook.cluster.hashicorp import permission as consul
from runbook.cluster.hashicorp.client import Client
from runbook.cluster.hashicorp.dialects import CONSUL, NOMAD
from runbook.cluster.http import Reply
from runbook.cluster.vault import permission as vault
from runbook.cluster.vault.client import VaultClient
from runbook.cluster.vault.products import OPENBAO
from runbook.errors import ClusterError, ErrorKind

REMOVAL = "/v1/sys/storage/raft/remove-peer"


class Says:
    """A server with one answer, or none."""

    def __init__(self, status: int, body: Any) -> None:
        self.status, self.body, self.asked = status, body, 0

    def monotonic(self) -> float:
        return 0.0

    def ask(self, *_: Any, changes: bool, **__: Any) -> Reply:
        assert not changes, "a dry run asks it too"
        self.asked += 1
        if self.status == 0:
            raise ClusterError(ErrorKind.TIMEOUT, "no answer")
        return Reply(self.status, {}, self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode())


def allow(answer: bool) -> list[dict[str, Any]]:
    return [{"Resource": "operator", "Access": "write", "Allow": answer}]


UNCLEAR = [(0, b""), (401, b"ACL support disabled"), (404, b""), (200, b"<html>"), (200, {}), (200, [1]), (200, [])]


@pytest.mark.parametrize(("status", "body", "no"), [(200, allow(False), True), (200, allow(True), False),
                                                     *((*each, None) for each in UNCLEAR)])  # fmt: skip
def test_consul(status: int, body: Any, no: bool | None) -> None:
    client = Client(CONSUL, Says(status, body), None)  # type: ignore[arg-type]
    reason = consul.reason_not_permitted(client, "http://c1", 1.0)
    assert reason == {True: "this token has no operator:write, which a removal needs", False: "", None: None}[no]


def test_nomad_is_not_asked_as_its_first_read_needs_the_same() -> None:
    says = Says(200, allow(False))
    assert consul.reason_not_permitted(Client(NOMAD, says, None), "http://n1", 1.0) is None  # type: ignore[arg-type]
    assert says.asked == 0


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
