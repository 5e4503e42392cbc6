"""Every bad playbook is told everything that is wrong with it, each thing at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.playbook.diagnostics import Diagnostic, PlaybookError
from tests.playbook.cases import BAD, FILES, faults_of, one_line


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_all_faults_of_a_bad_playbook_are_told(path: Path, rewrite: bool) -> None:
    """The sibling ``.expected`` file holds every fault, in file order."""
    told = "".join(f"{one_line(fault)}\n" for fault in faults_of(path.read_bytes()))
    expected = path.with_suffix(".expected")
    if rewrite:
        expected.write_text(told, encoding="utf-8")
    assert told == expected.read_text(encoding="utf-8")


def test_no_expectation_is_left_behind() -> None:
    """An ``.expected`` file without its playbook would be a promise that nobody checks."""
    assert {path.stem for path in FILES.glob("bad/*.expected")} == {path.stem for path in BAD}
    assert len(BAD) >= 150


def test_every_fault_can_be_shown_on_any_terminal() -> None:
    """No control character of a file reaches the screen, no line is endless, and the caret stands inside the line."""
    with_a_line = 0
    for path in BAD:
        for fault in faults_of(path.read_bytes()):
            text = fault.render()
            assert all(line.isprintable() and len(line) < 300 for line in text.splitlines()), path
            if fault.source:
                assert fault.mark.column <= len(fault.source) + 1, path
                with_a_line += 1
    assert with_a_line > 400


def test_a_fault_is_shown_with_its_line_a_caret_and_what_was_meant() -> None:
    """The three things a tired person needs: where, what, and what to write."""
    (fault,) = faults_of(b"runbook: 1\nname: x\nsteps:\n  - uses: raft.snapshto\n")
    assert fault.render().splitlines() == [
        'playbook.yaml:4:11: "uses" of a step names no step type: "raft.snapshto"',
        "      - uses: raft.snapshto",
        "              ^",
        '    Did you mean "raft.snapshot"?',
    ]


def test_the_error_holds_all_faults_in_its_text() -> None:
    """Whoever prints the exception prints everything."""
    error = PlaybookError(faults_of(b"name: x\nfoo: 1\n"))
    assert str(error) == "\n".join(Diagnostic.render(fault) for fault in error.diagnostics)
    assert len(error.diagnostics) == 3


def test_a_fault_is_not_told_twice() -> None:
    """A misspelt param is one fault: the param that was meant is not unused as well."""
    text = "runbook: 1\nname: x\nparams: { force: { type: bool, default: true } }\nsteps:\n  - uses: raft.snapshot\n"
    for condition in ("params.forec", "params.force = true", "force"):
        (fault,) = faults_of(f"{text}    if: {condition}\n".encode())
        assert fault.mark.line == 6
    assert faults_of(f"{text}    if: 1 > 0\n".encode())[0].message == 'param "force" is never used'
