"""Connections: what is kept between requests, what is not, and what they rest on."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from urllib3.connection import HTTPConnection

from runbook.cluster import http
from runbook.cluster.connections import GuardedTLSContext, guarded_adapter
from runbook.cluster.http import HttpClient, HttpSettings
from runbook.errors import ErrorKind, NoAnswerError
from runbook.raft.model import Reach
from tests.cluster.stub import reply, stub

DELETE = "/v1/operator/raft/peer?id=s3-id"


def test_a_handshake_that_the_library_gives_up_first_is_told_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit for connecting is shorter than the request's own: nothing was sent either."""
    monkeypatch.setattr(http, "CONNECT_TIMEOUT", 0.1)
    with stub(lambda *_: reply(), tls_delay=0.4) as late:
        with pytest.raises(NoAnswerError, match="nothing was sent") as caught:
            HttpClient(late.url, HttpSettings(verify=False)).ask("DELETE", DELETE, timeout=5)
        assert (caught.value.kind, caught.value.reach) == (ErrorKind.UNREACHABLE, Reach.ACCEPTED)


def test_connections_rest_on_what_their_library_promises() -> None:
    """A release of urllib3 may rename what begins with an underscore, and a removal would no longer be held back."""
    pools = [guarded_adapter(secure).poolmanager.pool_classes_by_scheme for secure in (False, True)]
    for pool in (pools[0]["http"], pools[1]["https"]):
        ours = [part for part in pool.ConnectionCls.__mro__ if part.__module__.startswith("runbook")]
        overridden = {name for part in ours for name in vars(part) if hasattr(HTTPConnection, name)}
        assert {"connect", "putrequest", "send"} <= overridden
        assert not [name for name in overridden if name.startswith("_") and not name.endswith("__")]


def test_a_removal_never_uses_a_connection_that_was_kept() -> None:
    """One that the server has closed meanwhile would make the removal's fate unknown for nothing."""
    with stub(lambda *_: reply()) as server:
        client = HttpClient(server.url, HttpSettings())
        for method in ("GET", "GET", "DELETE", "DELETE"):
            client.ask(method, DELETE, timeout=2)
        assert server.connections == 3  # the two reads share one


def test_a_read_after_the_server_closed_its_connection_is_answered() -> None:
    """A restarted server is not taken for a broken one."""
    with stub(lambda *_: reply(b"", 200, "Keep-Alive: yes")) as server:
        client = HttpClient(server.url, HttpSettings())
        client.ask("GET", "/", timeout=2)
        port = server.port
    with stub(lambda *_: reply(), port=port):
        assert client.ask("GET", "/", timeout=2).status == 200


def test_a_cookie_is_not_kept() -> None:
    """A load balancer's cookie would tie every later read to the one server that it chose."""
    with stub(lambda *_: reply(b"", 200, "Set-Cookie: route=s1")) as server:
        client = HttpClient(server.url, HttpSettings())
        for _ in range(2):
            client.ask("GET", "/", timeout=2)
        assert [head for _, head in server.heads if "cookie" in head.lower()] == []


def test_a_redirect_is_not_followed() -> None:
    """The token and the removal go to the server that was named, and nowhere else."""
    with stub(lambda *_: reply()) as elsewhere, stub(lambda *_: reply(b"", 307, f"Location: {elsewhere.url}/")) as here:
        assert HttpClient(here.url, HttpSettings()).ask("DELETE", DELETE, timeout=2).status == 307
        assert elsewhere.connections == 0


def test_a_context_of_tls_is_set_up_once_and_before_any_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    """urllib3 loads trust and certificate for every connection, and OpenSSL crashes where another one shakes hands."""
    done: list[str] = []

    def slow(name: str) -> Callable[..., None]:
        def set_up(*_: Any, **__: Any) -> None:
            time.sleep(0.02)
            done.append(name)

        set_up.__name__ = name
        return set_up

    steps = ("load_verify_locations", "load_cert_chain", "set_alpn_protocols")
    for name in steps:
        monkeypatch.setattr(ssl.SSLContext, name, slow(name), raising=False)
    context, begun = GuardedTLSContext(ssl.PROTOCOL_TLS_CLIENT), list[int]()

    def connect() -> None:
        context.load_verify_locations("ca.pem", None, None)
        context.load_cert_chain("client.pem", "client.key")
        context.set_alpn_protocols(["http/1.1"])
        begun.append(len(done))

    threads = [threading.Thread(target=connect) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sorted(done), begun) == (sorted(steps), [len(steps)] * len(threads))
