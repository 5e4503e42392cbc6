"""A shipped playbook is called by its name, in any folder; a file that is there wins, and a wrong name is helped."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.errors import NoPlaybookError, StepError
from runbook.shipped_playbooks import FOLDER, find_playbook, shipped_names
from runbook.steps.flow import refuse_recursion
from tests.command_line import PLAYBOOK, ROOT, runbook

OWN = "runbook: 1\nname: own\nsummary: Mine.\nsteps:\n  - uses: log.message\n    with: { text: mine }\n"


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands are typed."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_the_shipped_playbooks_are_those_at_the_top() -> None:
    """One text, wherever it is read."""
    assert shipped_names() == tuple(sorted(path.stem for path in (ROOT / "playbooks").glob("*.yaml")))
    assert (Path(FOLDER) / "remove-dead-peers.yaml").read_bytes() == Path(PLAYBOOK).read_bytes()


WORDS = {  # what is typed: which file is meant, where there are files own, own.yaml and health-check in the folder
    "remove-dead-peers": f"{FOLDER}/remove-dead-peers.yaml",
    "health-check": "health-check",
    "./remove-dead-peers": "./remove-dead-peers",
    "remove-dead-peers.yaml": "remove-dead-peers.yaml",
    "remove-dead-peers.yml": "remove-dead-peers.yml",
    "own": "own",
    "own.yaml": "own.yaml",
    "/nowhere/own": "/nowhere/own",
}


@pytest.mark.parametrize("word", WORDS)
def test_a_file_wins_and_a_path_is_no_name(word: str, empty: Path) -> None:
    for name in ("own", "own.yaml", "health-check"):
        (empty / name).write_text(OWN, encoding="utf-8")
    assert find_playbook(word) == WORDS[word]
    (empty / "inside").mkdir()
    (empty / "inside" / "own").write_text(OWN, encoding="utf-8")
    assert find_playbook("own", "inside") == "inside/own"
    assert find_playbook("health-check", "inside") == f"{FOLDER}/health-check.yaml", "looked for there alone"


WRONG = {
    "remove-dead-peer": '. Did you mean "remove-dead-peers"?',
    "Health-Check": 'Did you mean "health-check"?',
    "something": "Name a file by its path",
    "": 'no playbook "" is shipped',
    "a\x1b[2J": 'no playbook "a\N{REPLACEMENT CHARACTER}[2J" is shipped',
}


@pytest.mark.parametrize("word", WRONG)
@pytest.mark.parametrize("verb", ["execute", "validate"])
def test_a_wrong_name_is_told_what_there_is(verb: str, word: str) -> None:
    """Exit 2, and nothing begun."""
    done = runbook({}, verb, word)
    assert done.returncode == 2
    assert WRONG[word] in done.stderr
    assert "\x1b" not in done.stderr
    assert "there is no such file, and no playbook" in done.stderr


def test_an_installation_without_playbooks_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As one that was made from an archive without links."""
    monkeypatch.setattr("runbook.shipped_playbooks.FOLDER", str(tmp_path / "shipped"))
    with pytest.raises(NoPlaybookError, match="this installation came without any, so install it anew"):
        find_playbook("remove-dead-peers")


def test_validate_takes_names_among_paths(empty: Path) -> None:
    (empty / "own.yaml").write_text(OWN, encoding="utf-8")
    assert runbook({}, "validate", "remove-dead-peers", "own.yaml", "health-check").stdout == "3 good\n"


def test_playbooks_lists_and_prints(state_dir: Path) -> None:
    """What is printed is the file, so that it can be a beginning: `runbook playbooks NAME > own.yaml`."""
    listed = runbook({"RUNBOOK_STATE_DIR": str(state_dir)}, "playbooks")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(shipped_names())
    assert "Take dead servers out" in listed.stdout
    assert runbook({}, "playbooks", "remove-dead-peers").stdout == Path(PLAYBOOK).read_text(encoding="utf-8")
    wrong = runbook({}, "playbooks", "remove-dead")
    assert (wrong.returncode, 'Did you mean "remove-dead-peers"?' in wrong.stderr) == (2, True)


def test_a_playbook_runs_a_shipped_one_by_name(empty: Path) -> None:
    """Unless a file beside it has the name, whatever folder it is called from."""
    outer = empty / "inside" / "outer.yaml"
    shipped = (ROOT / "playbooks" / "health-check.yaml").resolve()
    assert refuse_recursion((str(outer),), "health-check") == str(shipped)
    with pytest.raises(StepError, match='Did you mean "health-check"'):
        refuse_recursion((str(outer),), "health-chek")
    outer.parent.mkdir()
    (outer.parent / "health-check").write_text(OWN, encoding="utf-8")
    assert refuse_recursion((str(outer),), "health-check") == str(outer.parent / "health-check")
