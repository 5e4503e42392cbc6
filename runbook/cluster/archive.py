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

from runbook.clock import seconds as now
from runbook.cluster.http import Reply
from runbook.errors import ClusterError, ErrorKind
from runbook.files import replacing

PIECE = 1024 * 1024
UNPACKED = 16 * 1024**3  # bytes; more is no state of a cluster, as its servers hold it in memory
GZIP = b"\x1f\x8b"  # what follows is the cluster's state, which holds secrets, and is not shown


def keep_archive(path: Path, fetch: Callable[[IO[bytes]], Reply], seconds: float) -> str:
    """Write what ``fetch`` writes to ``path``, mode 0600, and return its SHA-256 (hex).

    Raises :class:`ClusterError` when the archive does not match the reply's Digest, is not whole, or is not verified
    within so many seconds; OSError for the disk. Each try has a file of its own, as one that was given up may still
    write.
    """
    until = now() + seconds
    with replacing(path) as file:
        reply = fetch(file)
        file.flush()
        return _verified(file, reply, until)


def _verified(file: IO[bytes], reply: Reply, until: float) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
        _check_time(until)
    told = reply.headers.get("digest", "")
    if told and told.removeprefix("sha-256=") != base64.b64encode(digest.digest()).decode():
        raise ClusterError(ErrorKind.BAD_REPLY, "the state snapshot does not match its Digest", "Take it again")
    _unpack(file, until)
    return digest.hexdigest()


def _check_time(until: float) -> None:
    if now() > until:
        raise ClusterError(ErrorKind.TIMEOUT, "the state snapshot could not be verified in time", "Take it by hand")


def _unpack(file: IO[bytes], until: float) -> None:
    """Consul gives no Digest; the archive's own checksum is at its end."""
    file.seek(0)
    start = file.read(200)
    file.seek(0)
    size = 0
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as archive:
            while piece := archive.read(PIECE):
                size += len(piece)
                _check_time(until)
                if size > UNPACKED:
                    what = f"the state snapshot unpacks to more than {UNPACKED // 1024**3} GiB"
                    raise ClusterError(ErrorKind.BAD_REPLY, what, "Is this its API?")
    except (OSError, EOFError, zlib.error) as error:
        shown = "" if start.startswith(GZIP) else f"; it begins: {' '.join(start.decode('utf-8', 'replace').split())}"
        what = f"the state snapshot is no whole gzip archive ({error}){shown}"
        raise ClusterError(ErrorKind.BAD_REPLY, what, "Take it again") from None
