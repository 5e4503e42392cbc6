"""A snapshot that came whole is kept; any other leaves nothing behind."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import IO

import pytest

from runbook.cluster.etcd.snapshot import keep_snapshot
from runbook.errors import ClusterError, ErrorKind

DATABASE = bytes(range(256)) * 300


def stream(*pieces: bytes) -> bytes:
    lines = [json.dumps({"result": {"remaining_bytes": "1", "blob": base64.b64encode(p).decode()}}) for p in pieces]
    return "\n".join(lines).encode() + b"\n"


WHOLE = DATABASE + hashlib.sha256(DATABASE).digest()
CUT = stream(WHOLE[:40_000])


@pytest.mark.parametrize("size", [1000, 32_768, len(WHOLE) - 5])
def test_a_whole_one_is_kept_with_its_digest(size: int, tmp_path: Path) -> None:
    """The digest of 32 bytes may be cut over two lines."""
    pieces = [WHOLE[at : at + size] for at in range(0, len(WHOLE), size)]

    def fetch(file: IO[bytes]) -> None:
        file.write(stream(*pieces))

    assert keep_snapshot(tmp_path / "state.db", fetch) == hashlib.sha256(WHOLE).hexdigest()
    assert (tmp_path / "state.db").read_bytes() == WHOLE
    assert (tmp_path / "state.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "body", [b"", CUT, CUT[:-30], stream(WHOLE[:-1] + b"x"), b'{"error":{"code":14}}\n', b"<html>\n", b"[" * 100_000]
)
def test_any_other_is_not_kept(body: bytes, tmp_path: Path) -> None:
    def fetch(file: IO[bytes]) -> None:
        file.write(body)

    with pytest.raises(ClusterError) as caught:
        keep_snapshot(tmp_path / "state.db", fetch)
    assert caught.value.kind is ErrorKind.BAD_REPLY
    assert list(tmp_path.iterdir()) == []
