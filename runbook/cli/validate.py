"""``runbook validate``: read playbooks, one or whole folders of them, and report every error."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

from runbook.dataclass import dataclass
from runbook.errors import Diagnostic, Mark, NoPlaybookError, PlaybookError
from runbook.files import read_limited
from runbook.playbook.parser import parse_playbook
from runbook.playbook.reader import MAX_BYTES
from runbook.shipped_playbooks import find_playbook
from runbook.steps.named_playbooks import check_named_playbooks
from runbook.steps.registry import CATALOG

MAX_FILES = 10_000  # of one call: a folder named by mistake, such as /, ends with a sentence
SUFFIXES = (".yaml", ".yml")
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
RULE = "playbook-fault"


@dataclass(frozen=True)
class ValidationResult:
    """How many files were read, and every error and warning in them, in the order of the files."""

    files: int
    diagnostics: tuple[Diagnostic, ...]

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """Those that keep a playbook from being run."""
        return tuple(each for each in self.diagnostics if not each.warning)


def printable_path(path: str) -> str:
    """A path as it can be printed anywhere: a name found in a folder may hold any byte."""
    text = os.fsencode(path).decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def validate_paths(paths: Iterable[str]) -> ValidationResult:
    """Every file named, also by the name of a shipped playbook, and in every folder all that say they are playbooks."""
    files = 0
    diagnostics: list[Diagnostic] = []
    for path in paths:
        try:
            for file in _playbooks_in(path):
                files += 1
                diagnostics += _validate_file(file)
        except (_FolderError, NoPlaybookError) as error:
            diagnostics.append(Diagnostic(Mark(printable_path(path), 1, 1), str(error)))
    return ValidationResult(files, tuple(dict.fromkeys(diagnostics)))  # a file may be named, and be asked for itself


class _FolderError(Exception):
    """A folder cannot be searched; the text says why."""


def _validate_file(path: str) -> tuple[Diagnostic, ...]:
    warnings: tuple[Diagnostic, ...] = ()
    try:
        playbook = parse_playbook(read_limited(path, MAX_BYTES), printable_path(path), CATALOG)
        warnings = playbook.warnings
        check_named_playbooks(playbook)
    except OSError as error:
        return (Diagnostic(Mark(printable_path(path), 1, 1), f"this file cannot be read: {error.strerror}"),)
    except PlaybookError as error:
        return (*warnings, *error.diagnostics)
    return warnings


def _playbooks_in(path: str) -> Iterator[str]:
    if not os.path.isdir(path):  # noqa: PTH112
        yield find_playbook(path)
        return
    found = 0
    for seen, file in enumerate(_yaml_files_in(path)):
        if seen == MAX_FILES:
            raise _FolderError(f"this folder holds more than {MAX_FILES:,} YAML files; name a folder inside it")
        if _looks_like_a_playbook(file):
            found += 1
            yield file
    if not found:
        raise _FolderError('this folder holds no playbook: no .yaml or .yml file with a line "runbook: 1"')


def _yaml_files_in(folder: str) -> Iterator[str]:
    """In the order of the names. Hidden folders are left out, and links to folders are not followed."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(place, name)  # noqa: PTH118
            if name.endswith(SUFFIXES) and os.path.isfile(path):  # noqa: PTH113
                yield path


def _looks_like_a_playbook(path: str) -> bool:
    try:
        return (
            re.search(rb"""(?m)^(?:\xef\xbb\xbf)?[\s{"']*runbook["']?\s*:""", read_limited(path, MAX_BYTES)) is not None
        )
    except OSError:
        return True  # it is told as a file that cannot be read


def format_text(result: ValidationResult) -> str:
    """For a person: every error with its line and a caret."""
    return "\n".join(diagnostic.render() for diagnostic in result.diagnostics)


def format_json(result: ValidationResult) -> str:
    """For a machine: one object with all errors."""
    import json

    faults = [
        {
            "path": diagnostic.mark.path,
            "line": diagnostic.mark.line,
            "column": diagnostic.mark.column,
            "message": diagnostic.message,
            "source": diagnostic.source,
            "suggestion": diagnostic.suggestion,
        }
        for diagnostic in result.diagnostics
    ]
    return json.dumps({"files": result.files, "faults": faults}, ensure_ascii=False, indent=2)


def format_sarif(result: ValidationResult) -> str:
    """For code scanning: SARIF 2.1.0."""
    import json

    from runbook import __version__

    rule = {"id": RULE, "shortDescription": {"text": "A playbook that cannot be run as it is written."}}
    driver = {"name": "runbook", "version": __version__, "rules": [rule]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_sarif_result(diagnostic) for diagnostic in result.diagnostics],
    }
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False, indent=2)


def _sarif_result(diagnostic: Diagnostic) -> dict[str, Any]:
    from urllib.parse import quote

    place = diagnostic.mark
    region: dict[str, Any] = {"startLine": place.line, "startColumn": place.column}
    if diagnostic.source:
        region["snippet"] = {"text": diagnostic.source}
    uri = quote(place.path.replace(os.sep, "/"))
    location = {"artifactLocation": {"uri": f"file://{uri}" if uri.startswith("/") else uri}, "region": region}
    text = f"{diagnostic.message}. {diagnostic.suggestion}" if diagnostic.suggestion else diagnostic.message
    return {
        "ruleId": RULE,
        "ruleIndex": 0,
        "level": "warning" if diagnostic.warning else "error",
        "message": {"text": text},
        "locations": [{"physicalLocation": location}],
    }


FORMATS = {"text": format_text, "json": format_json, "sarif": format_sarif}
