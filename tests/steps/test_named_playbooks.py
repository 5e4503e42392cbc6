"""A playbook is checked with every playbook that it names, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.errors import PlaybookError
from runbook.playbook.parser import parse_playbook
from runbook.steps.named_playbooks import check_named_playbooks
from runbook.steps.registry import CATALOG
from tests.command_line import runbook

HEAD = "runbook: 1\nname: {name}\nguards: {{ max_changes: 1 }}\n{more}steps:\n"
RUNS = "  - uses: playbook.run\n    with: {{ playbook: {of}{more} }}\n"
SAYS = "  - uses: log.message\n    with: { text: x }\n"
PARAMS = (
    "params: { most: { type: int, max: 9 }, wait: { type: duration, default: 1s } }\n",
    "  - uses: wait.for\n    with: { duration: '${{ params.wait }}' }\n    timeout: '${{ params.most }}'\n",
)


def write(folder: Path, name: str, *steps: str, more: str = "") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(HEAD.format(name=name, more=more) + "".join(steps))
    return path


def runs(of: str, more: str = "") -> str:
    return RUNS.format(of=of, more=f", params: {{ {more} }}" if more else "")


def faults(path: Path) -> list[str]:
    try:
        check_named_playbooks(parse_playbook(path.read_bytes(), str(path), CATALOG))
    except PlaybookError as error:
        return [f"{Path(f.mark.path).name}:{f.mark.line}:{f.mark.column}: {f.message}" for f in error.diagnostics]
    return []


def test_a_circle_is_named_wherever_it_is_entered(tmp_path: Path) -> None:
    """Of two, of one, and one that only a third leads to."""
    first, second = write(tmp_path, "a", runs("b.yaml")), write(tmp_path, "b", runs("a.yaml"))
    outer, itself = write(tmp_path, "outer", SAYS, runs("a.yaml")), write(tmp_path, "c", runs("c.yaml"))
    assert faults(first) == ["b.yaml:6:23: a.yaml would run itself: a.yaml runs b.yaml runs a.yaml"]
    assert faults(second) == ["a.yaml:6:23: b.yaml would run itself: b.yaml runs a.yaml runs b.yaml"]
    assert faults(outer) == ["b.yaml:6:23: a.yaml would run itself: a.yaml runs b.yaml runs a.yaml"]
    assert faults(itself) == ["c.yaml:6:23: c.yaml would run itself: c.yaml runs c.yaml"]


def test_a_circle_ends_validation_and_execution_with_2(tmp_path: Path) -> None:
    """Nothing is started."""
    first = write(tmp_path, "a", runs("b.yaml"))
    write(tmp_path, "b", runs("a.yaml"))
    for verb in ("validate", "execute"):
        done = runbook(
            {"RUNBOOK_STATE_DIR": str(tmp_path / "state"), "NOMAD_ADDR": "http://127.0.0.1:9"}, verb, str(first)
        )
        assert (done.returncode, "a.yaml runs b.yaml runs a.yaml" in done.stdout + done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        (runs("nobody.yaml"), "cannot be read: No such file or directory"),
        (runs("nobody"), 'there is no such file, and no playbook "nobody" is shipped'),
        (runs("bad.yaml"), 'bad.yaml:5:11: "uses" of a step names no step type: "nonsense"'),
        (runs("inner.yaml"), 'playbook "inner" needs the param "most"'),
        (runs("inner.yaml", "most: 3, least: 4"), 'playbook "inner" has no param "least"'),
        (runs("inner.yaml", "most: 10"), 'param "most" must be at most 9, not 10'),
        (runs("inner.yaml", "most: many"), 'param "most" must be an int'),
        (runs("changes.yaml").replace("    with", "    effect: read\n    with"), "holds a step that changes something"),
        (runs("inner.yaml", "most: 3, wait: 2s"), ""),
        (runs("inner.yaml", "most: '${{ len(run.name) }}'"), ""),
        (runs("health-check"), ""),
    ],
)
def test_what_is_wrong_with_a_playbook_that_is_named(tmp_path: Path, step: str, fault: str) -> None:
    """In its file or in its naming; one that is right, with params that are or may be, is good."""
    write(tmp_path, "bad", "  - uses: nonsense\n")
    write(tmp_path, "inner", PARAMS[1], more=PARAMS[0])
    write(tmp_path, "changes", "  - uses: command.run\n    with: { argv: [a] }\n")
    found = faults(write(tmp_path, "outer", step))
    assert len(found) == (1 if fault else 0), found
    assert not fault or fault in found[0]


def test_playbooks_within_each_other_are_few(tmp_path: Path) -> None:
    """And a file that is named fifty times is read once."""
    for number in range(6):
        write(tmp_path, f"p{number}", *[runs(f"p{number + 1}.yaml")] * 50)
    write(tmp_path, "p6", SAYS)
    assert {message.partition(": ")[2] for message in faults(tmp_path / "p0.yaml")} == {
        "this is number 5 within each other, and 4 is the most"
    }
