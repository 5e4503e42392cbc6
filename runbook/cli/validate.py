"""``runbook validate``: read a playbook and tell every fault."""

from __future__ import annotations

from pathlib import Path

from runbook.files import read_limited
from runbook.playbook.model import PlaybookError
from runbook.playbook.parse import parse
from runbook.steps.catalog import CATALOG


def faults_of(path: str) -> list[str]:
    """Every fault as a person reads it; none for a good playbook."""
    try:
        parse(read_limited(Path(path)), path, CATALOG)
    except OSError as error:
        return [f"{path}: {error.strerror}"]
    except PlaybookError as error:
        return [fault.render() for fault in error.faults]
    return []
