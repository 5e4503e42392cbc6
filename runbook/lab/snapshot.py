"""The state snapshot as Nomad sends it: a gzipped tar of three files, and the digest of the whole."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile

from runbook.lab.world import Server
from runbook.raft.model import Configuration


def archive(server: Server) -> bytes:
    """What this server has committed; the same bytes as long as that is the same."""
    state = b"".join(hashlib.sha256(f"{server.committed} {block}".encode()).digest() for block in range(256))
    files = {"meta.json": json.dumps(_meta(server, len(state))).encode(), "state.bin": state}
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in {**files, "SHA256SUMS": sums.encode()}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o600
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(packed.getvalue(), mtime=0)


def digest(data: bytes) -> str:
    """The value of the ``Digest`` header."""
    return "sha-256=" + base64.b64encode(hashlib.sha256(data).digest()).decode()


def _meta(server: Server, size: int) -> dict[str, object]:
    configuration = server.committed_configuration or Configuration(())
    peers = " ".join(peer.address for peer in configuration.peers)
    listed = [
        {"Suffrage": 0 if peer.voter else 1, "ID": peer.id, "Address": peer.address} for peer in configuration.peers
    ]
    index = max((entry.index for entry in server.log[: server.committed] if entry.configuration), default=0)
    return {
        "Version": 1,
        "ID": f"{server.last[0]}-{server.committed}-1",
        "Index": server.committed,
        "Term": server.last[0],
        "Peers": base64.b64encode(peers.encode()).decode(),
        "Configuration": {"Servers": listed},
        "ConfigurationIndex": index,
        "Size": size,
    }
