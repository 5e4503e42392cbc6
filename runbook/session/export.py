"""A run's record in one file, to be handed to others: what they can check it by, and nothing that is not theirs."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import tarfile
from pathlib import Path

from runbook.dataclass import dataclass
from runbook.errors import NotStartedError
from runbook.files import read_limited, replacing
from runbook.session.evidence import EVIDENCE
from runbook.session.run_folders import JOURNAL

SUMS = "SHA256SUMS"
LARGEST = 256 * 1024**2  # bytes of one file
# What the program itself writes, with no secret in it. A state snapshot holds all that the cluster knows, and what a
# step wrote may be a secret.
HANDED_ON = re.compile(
    r"journal\.(?:jsonl|sig)|evidence/[0-9a-f]{64}\.txt|playbook\.yaml|plan\.json|by-hand\.md|report\.html|recovery-plan\.txt|snapshot(\.\d+)?\.json"
)


@dataclass(frozen=True)
class Exported:
    """The file that was written with its digest (hex), what is in it, and what of the run's folder is not."""

    path: Path
    sha256: str
    files: tuple[str, ...]
    left_out: tuple[str, ...]


def export_run(folder: Path, target: Path) -> Exported:
    """Write a tar of the record, with the digests that ``sha256sum -c`` checks.

    The same record always gives the same bytes. Raises NotStartedError where something is there already, and OSError.
    """
    if target.exists():
        raise NotStartedError(f"{target} is there already. Name another file with --output")
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    if (kept := folder / EVIDENCE).is_dir() and not kept.is_symlink():
        names.remove(EVIDENCE)
        names += sorted(f"{EVIDENCE}/{name}" for name in os.listdir(kept) if not name.startswith("."))
    ours = (name for name in names if HANDED_ON.fullmatch(name) and not (folder / name).is_symlink())
    read = ((name, _content(folder / name)) for name in ours)
    files = {name: data for name, data in read if _is_as_written(name, data)}
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    whole = _tar(folder.name, {SUMS: sums.encode(), **files})
    with replacing(target) as file:
        file.write(whole)
    left_out = tuple(name for name in names if name not in files)
    return Exported(target, hashlib.sha256(whole).hexdigest(), (SUMS, *files), left_out)


def _is_as_written(name: str, data: bytes) -> bool:
    """Of a file of evidence, whose name is its digest: what somebody else put there may hold a secret."""
    return not name.startswith(f"{EVIDENCE}/") or hashlib.sha256(data).hexdigest() in name


def _content(path: Path) -> bytes:
    """Of a journal that is being written, the whole lines."""
    data = read_limited(path, LARGEST)
    if len(data) > LARGEST:
        raise NotStartedError(f"{path} has more than {LARGEST // 1024**2} MiB. Hand the folder on by other means")
    return data[: data.rfind(b"\n") + 1] if path.name == JOURNAL else data


def _tar(run: str, files: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=whole, mode="wb", filename="", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, data in files.items():
            member = tarfile.TarInfo(f"{run}/{name}")
            member.size, member.mode = len(data), 0o600
            tar.addfile(member, io.BytesIO(data))
    return whole.getvalue()
