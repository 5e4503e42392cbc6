"""A state snapshot on disk: streamed, verified, private, and there as a whole or not at all.

The status comes before the body, so only the digest tells a whole one: docs/servers/nomad.md#state-snapshots.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from runbook.cluster.http import Reply
from runbook.errors import ClusterError, ErrorKind
from runbook.files import replacing

PIECE = 1024 * 1024
GZIP = b"\x1f\x8b"  # what follows is the cluster's state, which holds secrets, and is not shown


def keep_archive(path: Path, fetch: Callable[[IO[bytes]], Reply]) -> str:
    """Write what ``fetch`` writes to ``path``, mode 0600, and return its SHA-256 (hex).

    Raises :class:`ClusterError` when the archive does not match the reply's Digest or is not whole; OSError for the
    disk. Each try has a file of its own, as one that was given up may still write.
    """
    with replacing(path) as file:
        reply = fetch(file)
        file.flush()
        return _verified(file, reply)


def _verified(file: IO[bytes], reply: Reply) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
    told = reply.headers.get("digest", "")
    if told and told.removeprefix("sha-256=") != base64.b64encode(digest.digest()).decode():
        raise ClusterError(ErrorKind.BAD_REPLY, "the state snapshot does not match its Digest", "Take it again")
    _unpack(file)
    return digest.hexdigest()


def _unpack(file: IO[bytes]) -> None:
    """Consul gives no Digest; the archive's own checksum is at its end."""
    file.seek(0)
    start = file.read(200)
    file.seek(0)
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as archive:
            while archive.read(PIECE):
                pass
    except (OSError, EOFError, zlib.error) as error:
        shown = "" if start.startswith(GZIP) else f"; it begins: {' '.join(start.decode('utf-8', 'replace').split())}"
        what = f"the state snapshot is no whole gzip archive ({error}){shown}"
        raise ClusterError(ErrorKind.BAD_REPLY, what, "Take it again") from None
