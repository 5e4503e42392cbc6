"""The state snapshot is on disk as a whole, verified and private, or not at all."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import socket
import stat
from pathlib import Path

import pytest

from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.cluster.hashicorp.dialects import CONSUL, NOMAD
from runbook.cluster.http import HttpSettings
from runbook.errors import ClusterError, ErrorKind
from tests.cluster.stub import Answer, Stub, reply, stub

STATE = gzip.compress(os.urandom(300_000))
DIGEST = "Digest: sha-256=" + base64.b64encode(hashlib.sha256(STATE).digest()).decode()


def save(path: Path, answer: Answer) -> str:
    with stub(lambda *_: answer) as server:
        return HashiCorpCluster(NOMAD, (server.url,), HttpSettings(), None).save_state(path)


@pytest.mark.parametrize("headers", [(DIGEST,), ()], ids=["with a Digest", "without, as Consul"])
def test_a_whole_snapshot_is_kept_for_nobody_else(tmp_path: Path, headers: tuple[str, ...]) -> None:
    """It holds the cluster's secrets."""
    path = tmp_path / "state.snap"
    assert save(path, reply(STATE, 200, *headers)) == hashlib.sha256(STATE).hexdigest()
    assert path.read_bytes() == STATE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def broken_off(server: Stub, line: socket.socket) -> None:
    line.sendall(reply(STATE[:1000], length=len(STATE)))
    line.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("answer", "trouble", "words"),
    [
        (reply(STATE + b"x", 200, DIGEST), ErrorKind.BAD_REPLY, "does not match its Digest"),
        (reply(STATE[:-9]), ErrorKind.BAD_REPLY, "no whole gzip archive"),
        (reply(STATE[:5000] + b"\0" + STATE[5001:]), ErrorKind.BAD_REPLY, "no whole gzip archive"),
        (reply("<html>login</html>"), ErrorKind.BAD_REPLY, "it begins: <html>login"),
        (reply("Permission denied", 403), ErrorKind.FORBIDDEN, "a management token"),
        (reply("No cluster leader", 500), ErrorKind.NO_LEADER, "No cluster leader"),
        (reply("Raft error when taking snapshot: cannot take snapshot now", 500), ErrorKind.UNAVAILABLE, "cannot take"),
        (broken_off, ErrorKind.TIMEOUT, "the connection broke"),
    ],
    ids=["digest", "short", "flipped", "page", "forbidden", "no leader", "not now", "broken off"],
)
def test_what_is_not_whole_is_not_kept(tmp_path: Path, answer: Answer, trouble: ErrorKind, words: str) -> None:
    """Not even a part of it, and an older one is left alone."""
    path = tmp_path / "state.snap"
    path.write_bytes(b"older")
    with pytest.raises(ClusterError, match=words) as caught:
        save(path, answer)
    assert caught.value.kind is trouble
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_another_server_is_asked_when_one_breaks_off(tmp_path: Path) -> None:
    """A read may be asked again; it begins a new file."""
    path = tmp_path / "state.snap"
    with stub(lambda *_: broken_off) as bad, stub(lambda *_: reply(STATE)) as good:
        HashiCorpCluster(CONSUL, (bad.url, good.url), HttpSettings(), None).save_state(path)
        assert good.asked("GET") == ["/v1/snapshot"]
    assert path.read_bytes() == STATE


def test_an_archive_that_unpacks_without_end_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small reply of zeros: in size, and in time."""
    bomb = gzip.compress(bytes(64 * 1024**2), 1)
    monkeypatch.setattr("runbook.cluster.archive.UNPACKED", 32 * 1024**2)
    with pytest.raises(ClusterError, match="unpacks to more than 0 GiB"):
        save(tmp_path / "state.snap", reply(bomb))
    ticks = iter([0.0, *[1.0] * 3])
    monkeypatch.setattr("runbook.cluster.archive.now", lambda: next(ticks, 1000.0))
    with pytest.raises(ClusterError, match="could not be verified in time") as caught:
        save(tmp_path / "state.snap", reply(bomb))
    assert caught.value.kind is ErrorKind.TIMEOUT
    assert list(tmp_path.iterdir()) == []
