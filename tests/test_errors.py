"""The tree of errors is the one that is drawn, and whatever leaves a package is in it."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

from runbook import errors
from runbook.errors import ClusterError, ErrorKind, RunbookError, StepError
from tests import house_rules as rules

PACKAGE = Path(errors.__file__).parent
CLASSES = {name: each for name, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, Exception)}


def drawn_tree() -> dict[str, str]:
    """Of the docstring: class → the class it hangs on; the root hangs on nothing."""
    above: list[tuple[int, str]] = []
    tree = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│ ├└─]*)(\w+Error) {2,}\S", line)
        if found:
            depth = len(found[1])
            above = [each for each in above if each[0] < depth]
            tree[found[2]] = above[-1][1] if above else ""
            above.append((depth, found[2]))
    return tree


def test_the_tree_at_the_top_is_the_tree() -> None:
    """Who reads the first lines of the module knows every class and what catches it."""
    real = {name: "" if each is RunbookError else each.__bases__[0].__name__ for name, each in CLASSES.items()}
    assert drawn_tree() == real


def test_every_error_has_a_kind() -> None:
    """A class has one for all its errors, or is given one at each."""
    given = {name for name, each in CLASSES.items() if not isinstance(getattr(each, "kind", None), ErrorKind)}
    assert given == {"RunbookError", "ClusterError", "NoAnswerError", "StepError", "TimeIsUpError"}


@pytest.mark.parametrize("error_class", [ClusterError, StepError])
def test_the_text_is_the_sentence_and_the_next_action(error_class: type[ClusterError | StepError]) -> None:
    """What is caught is read in parts, and printed whole."""
    error = error_class(ErrorKind.TIMEOUT, "no end", "Wait")
    assert (str(error), error.sentence, error.next_action) == ("no end. Wait", "no end", "Wait")
    assert str(RunbookError("no end")) == "no end"


def test_no_other_package_catches_an_error_from_outside_the_module() -> None:
    """An exception class elsewhere is a signal between the parts of one package, so nobody outside imports it."""
    texts = {f.relative_to(PACKAGE.parent).as_posix(): f.read_text(encoding="utf-8") for f in PACKAGE.rglob("*.py")}
    own = {(rules.unit_of(path), name) for path, text in texts.items() for name in _exceptions_in(path, text)}
    taken = {
        f"{path} imports {name}"
        for path, text in texts.items()
        for _, name in rules.imports_of(path, text)
        for unit, error in own
        if name.startswith(f"runbook.{unit}.") and name.endswith(f".{error}") and rules.unit_of(path) != unit
    }
    assert taken == set()
    assert ("engine", "StoppedError") in own  # so they are found


def _exceptions_in(path: str, text: str) -> set[str]:
    if path == "runbook/errors.py":
        return set()
    classes = [item for item in ast.walk(ast.parse(text)) if isinstance(item, ast.ClassDef)]
    return {each.name for each in classes if each.name.endswith("Error")}
