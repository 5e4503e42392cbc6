"""The shipped playbooks are good, and what is wrong is told at its place."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from runbook.cli.main import main

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"


@pytest.mark.parametrize("path", sorted(PLAYBOOKS.glob("*.yaml")), ids=lambda path: path.name)
def test_a_shipped_playbook_is_good(path: Path) -> None:
    result = CliRunner().invoke(main, ["validate", str(path)])
    assert (result.exit_code, result.output) == (0, "1 good\n")


def test_a_misspelt_step_is_told_with_file_line_column_and_caret(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("runbook: 1\nname: wrong\nsummary: wrong\nsteps:\n  - uses: raft.snapshto\n", encoding="utf-8")
    result = CliRunner().invoke(main, ["validate", str(wrong)])
    assert result.exit_code == 2
    assert f"{wrong}:5:11" in result.output
    assert "raft.snapshot" in result.output
    assert "^" in result.output


@pytest.mark.parametrize("missing", ["absent.yaml", "."])
def test_what_is_no_file_is_told_without_a_traceback(tmp_path: Path, missing: str) -> None:
    result = CliRunner().invoke(main, ["validate", str(tmp_path / missing)])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
