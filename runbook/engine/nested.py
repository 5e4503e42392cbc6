"""``playbook.run``: how a playbook within a step is read and bound. It may narrow what is allowed, never widen it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from runbook.engine.plan import Plan, bound
from runbook.errors import ParamError, PlaybookError, unexpected
from runbook.files import read_limited
from runbook.playbook.model import Playbook
from runbook.playbook.params import bind_params
from runbook.playbook.parser import parse_playbook
from runbook.playbook.reader import MAX_BYTES
from runbook.raft.removal import Policy
from runbook.steps.registry import CATALOG


def bind_nested(playbook: Playbook, run: str, given: Mapping[str, Any], policy: Policy) -> Plan:
    """With params as if they had been typed: a param is read in one way, whoever gives it. Raises StepError."""
    types = {param.name: param.type for param in playbook.params}
    try:
        params = bind_params(playbook, {name: _typed(value, types.get(name, "")) for name, value in given.items()})
    except ParamError as error:
        raise unexpected("; ".join(error.messages)) from None
    return bound(playbook, run, params, policy)


def stricter(own: Policy, inner: Policy) -> Policy:
    """A playbook within another may narrow what is allowed while it runs, and never widen it."""
    narrower = (
        replace(own, min_voters=inner.min_voters, min_voters_param="") if inner.min_voters > own.min_voters else own
    )
    return replace(
        narrower,
        max_changes=min(own.max_changes, inner.max_changes),
        never_worse=own.never_worse or inner.never_worse,
        stated=own.stated | inner.stated,
    )


def read_nested(path: str) -> Playbook:
    """Raises StepError for a file that cannot be read, or has faults."""
    try:
        return parse_playbook(read_limited(Path(path), MAX_BYTES), path, CATALOG)
    except OSError as error:
        raise unexpected(f"{path}: {error.strerror}") from None
    except PlaybookError as error:
        raise unexpected("; ".join(str(fault.mark) + ": " + fault.message for fault in error.diagnostics)) from None


def _typed(value: Any, kind: str) -> str:
    if isinstance(value, str):
        return value
    text = json.dumps(value)
    return f"{text}s" if kind == "duration" and isinstance(value, int | float) else text
