"""A playbook's bytes to a tree: refuses hostile, broken and foreign YAML before anything is built from it."""

from __future__ import annotations

import re
from typing import Any, NoReturn

from runbook.playbook.diagnostics import Diagnostics
from runbook.playbook.yaml_tree import MAX_DEPTH, Node, Scalar, TreeBuilder

MAX_BYTES = 1 << 21
"""A playbook of ten thousand steps has half of this."""

# Controls, and what makes a file read differently on a screen than here: other line breaks, and signs that turn the
# direction of the text.
_FORBIDDEN = "[^\t\n\r\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
_TAB_INDENT = re.compile(r"[ ]*\t[ \t]*[^\s#]")
_MESSAGES = (
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
    ("did not find expected ',' or ", "a comma or the closing bracket was expected here"),
    ("exceeded maximum nesting depth", f"nested deeper than {MAX_DEPTH} levels"),
    ("found unknown escape character", "unknown escape in double quotes; use single quotes, or \\\\ for a backslash"),
)


def read_yaml(data: bytes, path: str, what: str = "a playbook") -> tuple[Node, Diagnostics]:
    """The file's tree, and the errors found so far.

    Args:
        data: what the file holds.
        path: its name in errors; nothing is opened.
        what: what such a file is called in errors.

    Raises:
        PlaybookError: no tree can be made of it.
    """
    if len(data) > MAX_BYTES:
        too_large = Diagnostics(path, "")
        too_large.fail(too_large.mark(1, 1), f"the file has {len(data):,} bytes; {what} may have {MAX_BYTES:,}")
    text, diagnostics = _decode(data, path)
    _refuse_characters(text, what, diagnostics)
    import yaml

    # libyaml's loader where PyYAML has it; the kind that resolves nothing, as we do that by YAML 1.2
    loader_class = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        root = TreeBuilder(diagnostics, text, loader_class(text).get_event).document(what)
    except yaml.YAMLError as error:
        _explain(error, diagnostics)
    if root is None or (isinstance(root, Scalar) and root.raw == ""):
        suggestion = 'A playbook begins with "runbook: 1".' if what == "a playbook" else None
        diagnostics.fail(diagnostics.mark(1, 1), "the file is empty", suggestion)
    return root, diagnostics


def _decode(data: bytes, path: str) -> tuple[str, Diagnostics]:
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        diagnostics = Diagnostics(path, data.decode("utf-8", "replace"))
        before = data[: error.start].decode("utf-8", "replace")
        mark = diagnostics.mark(before.count("\n") + 1, len(before) - before.rfind("\n"))
        diagnostics.fail(mark, f"the file is not UTF-8: byte 0x{data[error.start]:02x} here", "Save it as UTF-8.")
    return text, Diagnostics(path, text)


def _refuse_characters(text: str, what: str, diagnostics: Diagnostics) -> None:
    if text.replace("\n", "").replace("\r", "").replace("\t", "").isprintable():
        return  # nearly always: making the pattern takes longer than reading a playbook
    for match in re.finditer(_FORBIDDEN, text):
        at = match.start()
        mark = diagnostics.mark(text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
        name = "a NUL byte" if match.group() == "\0" else f"the character U+{ord(match.group()):04X}"
        diagnostics.add(mark, f"{name} is not allowed in {what}")
    diagnostics.raise_if_any()


def _explain(error: Any, diagnostics: Diagnostics) -> NoReturn:
    """Raise PyYAML's one error in plain words, at the place to look at."""
    where = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if where is None:
        diagnostics.fail(diagnostics.mark(1, 1), "this is not YAML")
    lines = diagnostics.lines
    line = lines[where.line] if where.line < len(lines) else ""
    if "tab" in error.problem or line[where.column : where.column + 1] == "\t":
        for number, each in enumerate(lines[where.line :], where.line + 1):
            if number == where.line + 1 or _TAB_INDENT.match(each):
                mark = diagnostics.mark(number, each.find("\t") + 1)
                diagnostics.add(mark, "a tab character; YAML is indented with spaces")
        diagnostics.raise_if_any()
    at_end = not line and where.line >= len(lines) - 1
    if error.context_mark is not None and error.problem.startswith("could not find expected ':'"):
        where = error.context_mark  # where the key stands, not where the parser gave up
        line = lines[where.line]
    elif error.context_mark is not None and (at_end or "end of stream" in error.problem):
        opened = diagnostics.mark(error.context_mark.line + 1, error.context_mark.column + 1)
        diagnostics.fail(opened, "YAML syntax: what is opened here is never closed")
    message = next((ours for theirs, ours in _MESSAGES if error.problem.startswith(theirs)), error.problem)
    suggestion = None
    if "${{" in line and "closing" in message:
        suggestion = 'Inside { } and [ ] an expression needs quotes: "${{ … }}".'
    diagnostics.fail(diagnostics.mark(where.line + 1, where.column + 1), f"YAML syntax: {message}", suggestion)
