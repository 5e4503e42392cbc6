"""What a check keeps for the next one, in a small file of its own for each cluster and each way of checking it.

Whatever else lies there is as if nothing did: a check neither ends nor hangs by it (I17).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runbook.dataclass import dataclass
from runbook.decode import ODD
from runbook.files import make_folder, read_limited, replace_file
from runbook.inspection.notices import WatchedState, read_watched
from runbook.session.interrupts import RunProcess

FOLDER = "checks"
MOST_BYTES = 1024 * 1024
MOST_BYTES_OF_FLEET = 256 * MOST_BYTES


@dataclass(frozen=True)
class CheckMemory:
    """``pulse`` is the sample with which the next look compares its own, good until the machine is started anew."""

    watched: WatchedState | None = None
    pulse: Any = None


NO_MEMORY = CheckMemory()


def memory_file(state: Path, cluster: str, way: Any) -> Path:
    """Two checks that differ in their thresholds or in whom they tell see different changes, so each has its own."""
    key = json.dumps([cluster, way], sort_keys=True).encode("utf-8", "surrogatepass")
    return state / FOLDER / f"{hashlib.sha256(key).hexdigest()[:32]}.json"


def read_memory(path: Path) -> CheckMemory:
    """What is kept there; nothing where it is no such file."""
    try:
        data = read_limited(path, MOST_BYTES)
        kept = json.loads(data) if len(data) <= MOST_BYTES else {}
        pulse = kept["pulse"] if kept["boot"] == _boot() else None
        return CheckMemory(read_watched(kept["watched"]), pulse)
    except (OSError, RecursionError, *ODD):
        return NO_MEMORY


def keep_memory(path: Path, cluster: str, memory: CheckMemory) -> str:
    """Whole, or as it was. Returns why it cannot be kept; empty where it is."""
    watched = memory.watched.record() if memory.watched else None
    return _keep(path, {"cluster": cluster, "watched": watched, "boot": _boot(), "pulse": memory.pulse})


def read_memories(path: Path) -> dict[str, CheckMemory]:
    """What is kept of each cluster of a fleet, in one file as a thousand would be slow; nothing where it is no such
    file.
    """
    try:
        data = read_limited(path, MOST_BYTES_OF_FLEET)
        kept = json.loads(data) if len(data) <= MOST_BYTES_OF_FLEET else {}
        same_boot = kept["boot"] == _boot()
        return {
            str(name): CheckMemory(read_watched(each["watched"]), each["pulse"] if same_boot else None)
            for name, each in kept["clusters"].items()
        }
    except (OSError, RecursionError, *ODD):
        return {}


def keep_memories(path: Path, memories: Mapping[str, CheckMemory]) -> str:
    """As :func:`keep_memory` does."""
    clusters = {
        name: {"watched": each.watched.record() if each.watched else None, "pulse": each.pulse}
        for name, each in memories.items()
    }
    return _keep(path, {"boot": _boot(), "clusters": clusters})


def _keep(path: Path, data: Mapping[str, Any]) -> str:
    try:
        make_folder(path.parent)
        replace_file(path, f"{json.dumps(data)}\n".encode())
    except OSError as error:
        return f"{path.parent}: {error.strerror}"
    return ""


def _boot() -> str | None:
    """Times of one start of the machine cannot be compared with those of another."""
    own = RunProcess.of(os.getpid())
    return own.boot if own else None
