"""A run's state snapshots: each with its whole digest, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runbook.run_state import RunState


@dataclass(frozen=True)
class StateSnapshot:
    """Where it was kept and its SHA-256 (hex), or why it was not."""

    path: str
    sha256: str
    trouble: str

    def __str__(self) -> str:
        return f"{self.path}, SHA-256 {self.sha256}" if self.sha256 else self.trouble


def state_snapshots(state: RunState) -> Iterator[StateSnapshot]:
    """Of every raft.snapshot that succeeded, in their order. Records of older versions do not tell."""
    for place, uses in state.uses.items():
        output = state.outputs.get(place, {}) if uses == "raft.snapshot" else {}
        results = output.get("results", [output])
        for result in results if isinstance(results, list) else ():
            if isinstance(result, Mapping) and "state_kept" in result:
                yield StateSnapshot(*(_text(result, f"state_{name}") for name in ("path", "sha256", "trouble")))


def _text(result: Mapping[str, Any], name: str) -> str:
    return str(result.get(name, ""))
