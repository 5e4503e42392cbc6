"""etcd's own snapshot: a stream of JSON lines with pieces in base64, which ends with the SHA-256 of all before it."""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from runbook.errors import ClusterError, ErrorKind
from runbook.files import replacing

LINE_LIMIT = 1024 * 1024  # bytes; etcd sends 32 KiB of data a line
DIGEST_SIZE = hashlib.sha256().digest_size
ODD = (KeyError, TypeError, AttributeError, ValueError, RecursionError)


def keep_snapshot(path: Path, fetch: Callable[[IO[bytes]], None]) -> str:
    """Write the database that ``fetch`` streams to ``path``, mode 0600, and return the file's SHA-256 (hex).

    The file is what ``etcdctl snapshot save`` writes, with etcd's own digest at its end. Raises :class:`ClusterError`
    where that digest does not fit, OSError for the disk.
    """
    with tempfile.TemporaryFile(dir=path.parent) as stream, replacing(path) as file:
        fetch(stream)
        stream.seek(0)
        content, whole, last = hashlib.sha256(), hashlib.sha256(), b""
        while line := stream.readline(LINE_LIMIT):
            piece = _piece(line)
            file.write(piece)
            whole.update(piece)
            last += piece
            content.update(last[:-DIGEST_SIZE])
            last = last[-DIGEST_SIZE:]
        if content.digest() != last:
            raise ClusterError(
                ErrorKind.BAD_REPLY, "the snapshot does not match the digest at its end", "Take it again"
            )
        return whole.hexdigest()


def _piece(line: bytes) -> bytes:
    try:
        return base64.b64decode(json.loads(line)["result"].get("blob", ""), validate=True)
    except ODD:
        shown = " ".join(line[:80].decode("utf-8", "replace").split())
        sentence = f"the stream of the snapshot is not readable; a line begins: {shown}"
        raise ClusterError(ErrorKind.BAD_REPLY, sentence, "Take it again") from None
