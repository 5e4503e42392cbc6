"""``runbook validate``: read a playbook and tell every fault."""

from __future__ import annotations

from runbook.playbook.model import Playbook, PlaybookError
from runbook.playbook.parse import parse
from runbook.steps.catalog import CATALOG

READ_LIMIT = 1024 * 1024 + 1  # one byte past what the parser takes: a larger file is refused, not read


def read_playbook(path: str) -> Playbook:
    """Raises OSError, or PlaybookError with every fault."""
    with open(path, "rb") as file:  # noqa: PTH123 -- pathlib is not worth its start-up here
        return parse(file.read(READ_LIMIT), path, CATALOG)


def faults_of(path: str) -> list[str]:
    """Every fault as a person reads it; none for a good playbook."""
    try:
        read_playbook(path)
    except OSError as error:
        return [f"{path}: {error.strerror}"]
    except PlaybookError as error:
        return [fault.render() for fault in error.faults]
    return []
