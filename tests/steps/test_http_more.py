"""``http.request`` with certificates, for large replies, and for what reads by POST."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from runbook.errors import StepError
from tests.cluster.stub import CERTIFICATE, NAME_IN_CERTIFICATE, stub
from tests.steps.server import Server
from tests.steps.world import World

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@contextmanager
def wanting_a_certificate() -> Iterator[str]:
    """The URL of a server that talks to nobody who shows none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    context.load_verify_locations(CERTIFICATE.with_name("intermediate.pem"))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))

    def talk() -> None:
        with suppress(OSError):
            while True:
                line, _ = listener.accept()
                with suppress(OSError), context.wrap_socket(line, server_side=True) as secure:
                    secure.recv(4096)
                    secure.sendall(ANSWER)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_certificates_that_the_machine_names_and_has_not_are_told(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the server would be called untrusted, and nobody would know why."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("absent.pem", "pipe"):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / name))
        with pytest.raises(StepError, match=f"the SSL_CERT_FILE file {tmp_path / name} is not there, or is no regular"):
            world.run("http.request", url="https://127.0.0.1:9/")


def test_a_certificate_is_shown_where_one_is_named(world: World) -> None:
    """Its key may stand in a file of its own, or with it."""
    trusted: Any = {"ca": str(CERTIFICATE), "server_name": NAME_IN_CERTIFICATE}
    own = str(CERTIFICATE.with_name("issued.pem"))
    with wanting_a_certificate() as url:
        with pytest.raises(StepError):
            world.run("http.request", url=url, **trusted)
        for key in (None, own):
            assert world.run("http.request", url=url, cert=own, key=key, **trusted)[1]["body"] == "ok"
        with pytest.raises(StepError, match="the key file /no/such/key is not there"):
            world.run("http.request", url=url, cert=own, key="/no/such/key", **trusted)


def test_what_the_machine_trusts_is_trusted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable that every other program heeds; also for a webhook."""
    with stub(lambda *_: ANSWER, tls_delay=0.0) as secure:
        with pytest.raises(StepError, match="signed by an authority that is not known here"):
            world.run("http.request", url=secure.url, server_name=NAME_IN_CERTIFICATE)
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        assert world.run("http.request", url=secure.url, server_name=NAME_IN_CERTIFICATE)[1]["status"] == 200
        with pytest.raises(StepError) as caught:
            world.run("notify.webhook", url=secure.url, text="x")
        assert "self" not in str(caught.value)  # it is trusted, and carries another name


def test_a_large_reply_is_written_to_a_file(world: World, server: Server) -> None:
    """It would not fit into the record."""
    body = bytes(range(256)) * 4096
    server.table["/"] = (200, {}, body)
    message, output = world.run("http.request", url=server.url, to="backup/state.snap")
    path = Path(output["path"])
    assert path.read_bytes() == body
    assert path.stat().st_mode & 0o777 == 0o600
    assert (output["body"], output["json"], output["sha256"]) == (None, None, hashlib.sha256(body).hexdigest())
    assert message.endswith(f"{path}, 1,048,576 bytes")
    with pytest.raises(StepError, match="leads out of the run's files"):
        world.run("http.request", url=server.url, to="../journal.jsonl")
    assert world.run("http.request", url=f"{server.url}/small")[1]["path"] is None


def test_a_read_by_post_is_sent_in_a_dry_run_and_writes_no_file(world: World, server: Server) -> None:
    """Many APIs search by POST."""
    server.table["/search"] = (200, {}, b"[1]")
    given: Any = {"url": f"{server.url}/search", "method": "POST", "json": {"query": "x"}}
    message, output = world.dry("http.request", reads=True, **given)
    assert (message.endswith("answered 200"), output["json"]) == (True, [1])
    message, output = world.dry("http.request", reads=True, to="found.json", **given)
    assert message.endswith(f"would write {output['path']}, 3 bytes")
    assert output["path"].endswith("/files/found.json")
    assert list(world.folder.rglob("found.json")) == []
    assert len(server.asked) == 2
