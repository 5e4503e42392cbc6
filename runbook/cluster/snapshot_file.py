"""A state snapshot that somebody kept, verified before it is sent: every digest, and what it says of itself.

The archive of Consul, Nomad, Vault and OpenBao: docs/servers/nomad.md#state-snapshots.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import IO, TYPE_CHECKING, Any, cast

from runbook.clock import seconds as now
from runbook.cluster.archive import GZIP, PIECE, UNPACKED
from runbook.errors import StepError, unexpected
from runbook.files import LONGEST, open_regular
from runbook.raft.restoring import KeptSnapshot

if TYPE_CHECKING:
    from pathlib import Path

META, STATE, SUMS = "meta.json", "state.bin", "SHA256SUMS"
SMALL = 4 * 1024**2  # bytes of a file that is no state; a configuration of a thousand servers has a tenth of that
MEMBERS = 16  # files in it; there are four at most
ANOTHER = "Use another one: the playbook take-snapshot keeps only whole ones"
ODD = (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError)


@contextmanager
def opened_snapshot(path: Path, sha256: str, seconds: float) -> Iterator[tuple[IO[bytes], KeptSnapshot]]:
    """The file, to be read again, and what it holds, verified within so many seconds.

    ``sha256``: what it must have as a whole; empty where nobody said so. Raises StepError.
    """
    until = now() + seconds
    try:
        file = os.fdopen(open_regular(path), "rb")
    except OSError as error:
        raise unexpected(f"{path}: {error.strerror}", "Name a snapshot file that this user may read") from None
    with file:
        size = os.fstat(file.fileno()).st_size
        if size > LONGEST:
            raise unexpected(f"{path} has {size} bytes, more than {LONGEST // 1024**3} GiB", "Is it a snapshot?")
        digest = _digest(file, until)
        if sha256 and sha256.lower() != digest:
            raise unexpected(f"{path} has the SHA-256 {digest}, and {sha256} is asked for", "Is it the right file?")
        file.seek(0)
        try:
            yield file, _verified(file, size, digest, until)
        except _NotWholeError as error:
            raise unexpected(f"{path} is no whole state snapshot: {error}", ANOTHER) from None


class _NotWholeError(Exception):
    """What is wrong with it, in words that hold nothing of the state."""


def _digest(file: IO[bytes], until: float) -> str:
    digest = hashlib.sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
        _check_time(until)
    return digest.hexdigest()


def _check_time(until: float) -> None:
    if now() > until:
        raise unexpected("the snapshot file could not be verified in time", "Give the step a longer timeout")


def _verified(file: IO[bytes], size: int, digest: str, until: float) -> KeptSnapshot:
    if file.read(len(GZIP)) != GZIP:
        raise _NotWholeError("it is no gzip archive")
    file.seek(0)
    try:
        with gzip.open(file) as unpacked, tarfile.open(fileobj=cast("IO[bytes]", unpacked), mode="r|") as archive:
            digests, small, kept_at, state_size = _read_members(archive, until)
            while unpacked.read(PIECE):  # what gzip has at its end vouches for all before it
                _check_time(until)
        for name in (META, SUMS):
            if name not in small:
                raise _NotWholeError(f"it has no {name}")
        lines = [line.split(None, 1) for line in small[SUMS].decode().splitlines()]
        sums = {name: told for told, name in lines}
        meta = json.loads(small[META])
        servers = tuple(str(server["ID"]) for server in meta["Configuration"]["Servers"])
        said = KeptSnapshot(
            size=size,
            sha256=digest,
            version=_number(meta["Version"]),
            index=_number(meta["Index"]),
            term=_number(meta["Term"]),
            kept_at=kept_at,
            servers=servers,
        )
    except (StepError, _NotWholeError):
        raise
    except ODD as error:
        raise _NotWholeError(f"{type(error).__name__}: {' '.join(str(error).split())[:100]}") from None
    for name in (META, STATE):
        if digests.get(name) != sums.get(name):
            raise _NotWholeError(f"{name} does not have the digest that {SUMS} has of it")
    if meta.get("Size", state_size) not in (0, state_size):
        raise _NotWholeError(f"{STATE} has {state_size} bytes, and {META} says {meta['Size']}")
    return said


def _read_members(archive: tarfile.TarFile, until: float) -> tuple[dict[str, str], dict[str, bytes], str, int]:
    """Digests of all files by name, the small ones whole, when they were packed, and how large the state is."""
    digests: dict[str, str] = {}
    small: dict[str, bytes] = {}
    kept_at, total, state_size = "", 0, 0
    for member in archive:
        content = archive.extractfile(member)
        if content is None or member.name in digests or len(digests) >= MEMBERS:
            raise _NotWholeError("it holds what no snapshot has")
        digest, size = hashlib.sha256(), 0
        while piece := content.read(PIECE):
            digest.update(piece)
            size += len(piece)
            total += len(piece)
            _check_time(until)
            if total > UNPACKED or (member.name != STATE and size > SMALL):
                raise _NotWholeError("it unpacks to more than a snapshot has")
            if member.name in (META, SUMS):
                small[member.name] = small.get(member.name, b"") + piece
        digests[member.name] = digest.hexdigest()
        if member.name == STATE:
            state_size = size
        if member.name == META and member.mtime > 0:
            kept_at = datetime.fromtimestamp(member.mtime, timezone.utc).isoformat(timespec="seconds")
    return digests, small, kept_at, state_size


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**64:
        raise _NotWholeError(f"{META} has a number that is none")
    return value
