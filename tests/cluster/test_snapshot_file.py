"""A snapshot file is verified whole before a byte of it is sent, and then it is sent piece by piece."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import socket
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runbook.cluster.hashicorp.adapter import HashiCorpCluster
from runbook.cluster.hashicorp.dialects import CONSUL, NOMAD
from runbook.cluster.http import HttpSettings
from runbook.cluster.snapshot_file import opened_snapshot
from runbook.cluster.vault.adapter import VaultCluster
from runbook.cluster.vault.products import OPENBAO
from runbook.errors import ClusterError, ErrorKind, StepError
from tests.cluster.stub import Answer, Stub, reply, stub

META: dict[str, Any] = {
    "Version": 1,
    "Index": 40,
    "Term": 2,
    "Configuration": {"Servers": [{"Suffrage": 0, "ID": "id-1", "Address": "10.0.0.1:8300"}]},
}
STATE = os.urandom(300_000)


def archive(meta: Any = META, state: bytes = STATE, sums: str | None = None, *more: str) -> bytes:
    files = {"meta.json": json.dumps(meta).encode(), "state.bin": state}
    told = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    files["SHA256SUMS"] = (told if sums is None else sums).encode()
    packed = io.BytesIO()
    with tarfile.TarFile(fileobj=packed, mode="w") as tar:
        for name, data in [*files.items(), *((name, b"x") for name in more)]:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), 1_795_660_200
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(packed.getvalue(), mtime=0)


def test_it_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "state.snap"
    path.write_bytes(archive())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with opened_snapshot(path, digest.upper(), 60) as (_, kept):
        assert str(kept) == "2026-11-26T02:30:00+00:00, index 40 of term 2 (format 1)"
        assert (kept.servers, kept.size, kept.sha256) == (("id-1",), path.stat().st_size, digest)


WHOLE = archive()
LINK = tarfile.TarInfo("state.bin")
BAD: dict[str, tuple[bytes, str]] = {
    "another file": (b"ssh-ed25519 AAAA", "it is no gzip archive"),
    "empty": (b"", "it is no gzip archive"),
    "cut": (WHOLE[:-2000], "EOFError"),
    "a flipped byte": (WHOLE[:9000] + bytes([WHOLE[9000] ^ 1]) + WHOLE[9001:], "no whole state snapshot"),
    "another state": (archive(sums=f"{'0' * 64}  meta.json\n{'0' * 64}  state.bin\n"), "does not have the digest"),
    "no sums": (archive(sums=""), "it has no SHA256SUMS"),
    "no meta": (archive(meta=[]), "TypeError"),
    "odd numbers": (archive(meta={**META, "Index": -1}), "a number that is none"),
    "another size": (archive(meta={**META, "Size": 7}), "and meta.json says 7"),
    "two of one name": (archive(META, STATE, None, "state.bin"), "what no snapshot has"),
    "no tar": (gzip.compress(b"x" * 5000), "ReadError"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_whole_is_not_sent(tmp_path: Path, case: str) -> None:
    data, words = BAD[case]
    path = tmp_path / "state.snap"
    path.write_bytes(data)
    with pytest.raises(StepError, match=words), opened_snapshot(path, "", 60):
        raise AssertionError("it was opened")


def test_only_a_regular_file_with_the_digest_that_is_asked_for_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state.snap"
    with pytest.raises(StepError, match="No such file"), opened_snapshot(path, "", 60):
        pass
    os.mkfifo(path)
    with pytest.raises(StepError, match="not a regular file but a pipe"), opened_snapshot(path, "", 60):
        pass
    path.unlink()
    path.write_bytes(WHOLE)
    with pytest.raises(StepError, match="is asked for"), opened_snapshot(path, "0" * 64, 60):
        pass
    with pytest.raises(StepError, match="could not be verified in time"), opened_snapshot(path, "", -1):
        pass


def test_an_archive_that_unpacks_without_end_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.snap"
    path.write_bytes(archive(state=bytes(8 * 1024**2)))
    monkeypatch.setattr("runbook.cluster.snapshot_file.UNPACKED", 4 * 1024**2)
    with pytest.raises(StepError, match="unpacks to more"), opened_snapshot(path, "", 60):
        pass


# -- on its way

CLUSTERS: dict[str, tuple[Callable[[str], Any], str, int]] = {
    "nomad": (lambda url: HashiCorpCluster(NOMAD, (url,), HttpSettings(), None), "PUT /v1/operator/snapshot", 200),
    "consul": (lambda url: HashiCorpCluster(CONSUL, (url,), HttpSettings(), None), "PUT /v1/snapshot", 200),
    "openbao": (lambda url: VaultCluster(OPENBAO, (url,), HttpSettings()), "POST /v1/sys/storage/raft/snapshot", 204),
}


def reading(bodies: list[bytes], answer: bytes) -> Answer:
    """Reads as much as the head says before it answers."""

    def read(server: Stub, line: socket.socket) -> None:
        length = int(re.findall(r"Content-Length: (\d+)", server.heads[-1][1])[0])
        body = bytearray()
        while len(body) < length and (piece := line.recv(1024**2)):
            body += piece
        bodies.append(bytes(body))
        line.sendall(answer)

    return read


@pytest.mark.parametrize("kind", CLUSTERS)
def test_the_whole_file_is_sent_once(tmp_path: Path, kind: str) -> None:
    """With its length, so that a server knows where it ends; whatever was read of it before."""
    connect, request, status = CLUSTERS[kind]
    path, bodies = tmp_path / "state.snap", list[bytes]()
    path.write_bytes(WHOLE)
    with stub(lambda *_: reading(bodies, reply(b"", status))) as server, path.open("rb") as file:
        file.read(100)
        connect(server.url).restore_state(file)
        assert [f"{head.split()[0]} {head.split()[1]}" for _, head in server.heads] == [request]
    assert bodies == [WHOLE]


@pytest.mark.parametrize("kind", CLUSTERS)
def test_a_lost_answer_is_not_sent_to_another_server(tmp_path: Path, kind: str) -> None:
    connect, _, _ = CLUSTERS[kind]
    path, bodies = tmp_path / "state.snap", list[bytes]()
    path.write_bytes(WHOLE)
    with stub(lambda *_: reading(bodies, b"")) as server, path.open("rb") as file:
        threading.Timer(1.0, server.stop).start()
        with pytest.raises(ClusterError) as caught:
            connect(server.url).restore_state(file, within=5)
    assert caught.value.kind is ErrorKind.AMBIGUOUS
    assert len(bodies) == 1


def test_a_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    """16 MiB, of which the sender never reads more than a piece."""
    path, most = tmp_path / "large", [0]

    class Watched(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            most[0] = max(most[0], 1024**3 if size is None or size < 0 else size)
            return super().read(size if size is not None else -1) or b""

    with path.open("wb") as made:
        made.truncate(16 * 1024**2)
    bodies: list[bytes] = []
    with stub(lambda *_: reading(bodies, reply())) as server, Watched(path) as file:
        HashiCorpCluster(CONSUL, (server.url,), HttpSettings(), None).restore_state(file)
    assert len(bodies[0]) == 16 * 1024**2
    assert most[0] <= 64 * 1024
