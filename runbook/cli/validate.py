"""``runbook validate``: read a playbook and tell every fault."""

from __future__ import annotations

from runbook.playbook.model import PlaybookError
from runbook.playbook.parse import parse
from runbook.steps.catalog import CATALOG

READ_LIMIT = 1024 * 1024 + 1  # one byte past what the parser takes: a larger file is refused, not read


def faults_of(path: str) -> list[str]:
    """Every fault as a person reads it; none for a good playbook."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 -- pathlib is not worth its start-up here
            data = file.read(READ_LIMIT)
        parse(data, path, CATALOG)
    except OSError as error:
        return [f"{path}: {error.strerror}"]
    except PlaybookError as error:
        return [fault.render() for fault in error.faults]
    return []
