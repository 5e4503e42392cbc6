"""The door for a playbook's bytes: refuses hostile, broken and foreign YAML before anything is built from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn

from runbook.playbook.faults import Faults
from runbook.playbook.nodes import Grower, Limits, Node, Scalar

MAX_BYTES = 1 << 21
"""A playbook of ten thousand steps has half of this."""
MAX_DEPTH = 40
"""A playbook needs six or so; far below where any recursion hurts."""
MAX_NODES = 150_000
"""Values in one file, keys among them: ten thousand steps of fifteen. The slowest file takes half a second."""

# Controls, and what makes a file read differently on a screen than here: other line breaks, and signs that turn the
# direction of the text.
_FORBIDDEN = "[^\t\n\r\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
_TAB_INDENT = re.compile(r"[ ]*\t[ \t]*[^\s#]")
_HINTS = (
    (
        "mapping values are not allowed",
        '": " is not possible here; check the indentation, or put text that holds ": " in quotes',
    ),
    ("could not find expected ':'", 'this line has no ": " after its key'),
    ("found character that cannot start", "a value cannot begin with this character; put the value in quotes"),
    ("did not find expected key", "this line's indentation fits nothing above it"),
    (
        "did not find expected '-' indicator",
        'a list entry beginning with "- " was expected here; check the indentation',
    ),
    ("did not find expected node content", "a value was expected here"),
    ("did not find expected ',' or ", "a , or the closing bracket was expected here"),
    ("exceeded maximum nesting depth", f"nested deeper than {MAX_DEPTH} levels"),
    ("found unknown escape character", "unknown escape in double quotes; use single quotes, or \\\\ for a backslash"),
)


def read(data: bytes, path: str, what: str = "a playbook") -> tuple[Node, Faults]:
    """The file's tree and its faults so far; raises ``PlaybookError`` where no tree can be shown.

    ``what`` names such a file in faults.
    """
    if len(data) > MAX_BYTES:
        size = Faults(path, "")
        size.fail(size.mark(1, 1), f"the file has {len(data):,} bytes; {what} may have {MAX_BYTES:,}")
    text, faults = _decode(data, path)
    _refuse_characters(text, what, faults)
    return _grow(text, what, faults), faults


def _decode(data: bytes, path: str) -> tuple[str, Faults]:
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        faults = Faults(path, data.decode("utf-8", "replace"))
        before = data[: error.start].decode("utf-8", "replace")
        mark = faults.mark(before.count("\n") + 1, len(before) - before.rfind("\n"))
        faults.fail(mark, f"the file is not UTF-8: byte 0x{data[error.start]:02x} here", "Save it as UTF-8.")
    return text, Faults(path, text)


def _refuse_characters(text: str, what: str, faults: Faults) -> None:
    if text.replace("\n", "").replace("\r", "").replace("\t", "").isprintable():
        return  # nearly always: making the pattern takes longer than reading a playbook
    for match in re.finditer(_FORBIDDEN, text):
        before = match.start()
        line_start = text.rfind("\n", 0, before) + 1
        name = "a NUL byte" if match.group() == "\0" else f"the character U+{ord(match.group()):04X}"
        faults.add(
            faults.mark(text.count("\n", 0, before) + 1, before - line_start + 1), f"{name} has no place in {what}"
        )
    faults.raise_if_any()


def _loader() -> Any:
    """libyaml's loader where PyYAML has it; the kind that resolves nothing, as we do that by YAML 1.2."""
    import yaml

    return getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def _grow(text: str, what: str, faults: Faults) -> Node:
    import yaml

    try:
        loader = _loader()(text)
        grower = Grower(faults, text, loader.get_event, Limits(MAX_DEPTH, MAX_NODES))
        root = _root(grower, loader.get_event, what, faults)
    except yaml.YAMLError as error:
        _explain(error, faults)
    if grower.aliases:
        faults.raise_if_any()
    if root is None or (isinstance(root, Scalar) and root.raw == ""):
        begin = 'A playbook begins with "runbook: 1".' if what == "a playbook" else None
        faults.fail(faults.mark(1, 1), "the file is empty", begin)
    return root


def _root(grower: Grower, next_event: Callable[[], Any], what: str, faults: Faults) -> Node | None:
    """The one document's value: there are events for the begin and the end of the stream, and of the document."""
    next_event()
    if type(next_event()).__name__ == "StreamEndEvent":
        return None
    root = grower.grow(next_event())
    next_event()
    after = next_event()
    if type(after).__name__ != "StreamEndEvent":
        place = faults.mark(after.start_mark.line + 1, after.start_mark.column + 1)
        faults.fail(place, f"{what} is one YAML document; a second one begins here")
    return root


def _explain(error: Any, faults: Faults) -> NoReturn:
    """Raise PyYAML's one error in plain words, at the place to look at."""
    where = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if where is None:
        faults.fail(faults.mark(1, 1), "this is not YAML")
    line = faults.lines[where.line] if where.line < len(faults.lines) else ""
    if "tab" in error.problem or line[where.column : where.column + 1] == "\t":
        _tabs(where.line, faults)
        faults.raise_if_any()
    at_end = not line and where.line >= len(faults.lines) - 1
    if error.context_mark is not None and error.problem.startswith("could not find expected ':'"):
        where = error.context_mark  # where the key stands, not where the parser gave up
        line = faults.lines[where.line]
    elif error.context_mark is not None and (at_end or "end of stream" in error.problem):
        opened = faults.mark(error.context_mark.line + 1, error.context_mark.column + 1)
        faults.fail(opened, "YAML syntax: what is opened here is never closed")
    plain = next((words for sign, words in _HINTS if error.problem.startswith(sign)), error.problem)
    quotes = (
        'Inside { } and [ ] an expression needs quotes: "${{ … }}".' if "${{" in line and "closing" in plain else None
    )
    faults.fail(faults.mark(where.line + 1, where.column + 1), f"YAML syntax: {plain}", quotes)


def _tabs(first: int, faults: Faults) -> None:
    for number, line in enumerate(faults.lines[first:], first + 1):
        if number == first + 1 or _TAB_INDENT.match(line):
            faults.add(faults.mark(number, line.find("\t") + 1), "a tab; YAML is indented with spaces")
