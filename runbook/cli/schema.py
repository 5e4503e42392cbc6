"""``runbook schema``: the JSON Schema of playbooks, for editors."""

from __future__ import annotations

import json

from runbook.playbook.schema import playbook_schema
from runbook.steps.registry import CATALOG


def printed() -> str:
    """The schema of a playbook that may use every step of the catalogue."""
    return json.dumps(playbook_schema(CATALOG), ensure_ascii=False, indent=2)
