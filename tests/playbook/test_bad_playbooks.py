"""Every bad playbook is reported with everything that is wrong with it, each thing at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.errors import Diagnostic, PlaybookError
from tests.playbook.cases import BAD, FILES, diagnostics_of, one_line


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_all_errors_of_a_bad_playbook_are_reported(path: Path, rewrite: bool) -> None:
    """The sibling ``.expected`` file holds every error, in file order."""
    found = "".join(f"{one_line(diagnostic)}\n" for diagnostic in diagnostics_of(path.read_bytes()))
    expected = path.with_suffix(".expected")
    if rewrite:
        expected.write_text(found, encoding="utf-8")
    assert found == expected.read_text(encoding="utf-8")


def test_no_expectation_is_left_behind() -> None:
    """An ``.expected`` file without its playbook would be a promise that nobody checks."""
    assert {path.stem for path in FILES.glob("bad/*.expected")} == {path.stem for path in BAD}
    assert len(BAD) >= 150


def test_every_error_can_be_shown_on_any_terminal() -> None:
    """No control character of a file reaches the screen, no line is endless, and the caret stands inside the line."""
    with_a_line = 0
    for path in BAD:
        for diagnostic in diagnostics_of(path.read_bytes()):
            text = diagnostic.render()
            assert all(line.isprintable() and len(line) < 300 for line in text.splitlines()), path
            if diagnostic.source:
                assert diagnostic.mark.column <= len(diagnostic.source) + 1, path
                with_a_line += 1
    assert with_a_line > 400


def test_an_error_is_shown_with_its_line_a_caret_and_what_was_meant() -> None:
    """The three things a tired person needs: where, what, and what to write."""
    (diagnostic,) = diagnostics_of(b"runbook: 1\nname: x\nsteps:\n  - uses: raft.snapshto\n")
    assert diagnostic.render().splitlines() == [
        'playbook.yaml:4:11: "uses" of a step names no step type: "raft.snapshto"',
        "      - uses: raft.snapshto",
        "              ^",
        '    Did you mean "raft.snapshot"?',
    ]


def test_the_error_holds_all_errors_in_its_text() -> None:
    """Whoever prints the exception prints everything."""
    error = PlaybookError(diagnostics_of(b"name: x\nfoo: 1\n"))
    assert str(error) == "\n".join(Diagnostic.render(diagnostic) for diagnostic in error.diagnostics)
    assert len(error.diagnostics) == 3


def test_an_error_is_not_reported_twice() -> None:
    """A misspelt param is one error: the param that was meant is not unused as well."""
    text = "runbook: 1\nname: x\nparams: { force: { type: bool, default: true } }\nsteps:\n  - uses: raft.snapshot\n"
    for condition in ("params.forec", "params.force = true", "force"):
        (diagnostic,) = diagnostics_of(f"{text}    if: {condition}\n".encode())
        assert diagnostic.mark.line == 6
    assert diagnostics_of(f"{text}    if: 1 > 0\n".encode())[0].message == 'param "force" is never used'
