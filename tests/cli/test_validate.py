"""The shipped playbooks are good, and what is wrong is told at its place."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from runbook.cli.main import main
from tests.playbook.cases import BAD

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


def invoked(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["validate", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_folder_is_gone_through_for_whatever_says_it_is_a_playbook(tmp_path: Path) -> None:
    """Other YAML files, hidden folders and links to folders are left alone; a broken playbook is still one."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    for place in ("a.yaml", "deep/er/b.yml", ".git/c.yaml", "d.txt"):
        (tmp_path / place).write_text("runbook: 1\nname: x\nsteps: [{ uses: raft.snapshot }]\n", encoding="utf-8")
    (tmp_path / "deep" / "values.yaml").write_text("replicas: 3\n", encoding="utf-8")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert invoked(str(tmp_path)) == (0, "2 good\n", "")
    (tmp_path / "bom.yaml").write_text(
        "\ufeffrunbook: 1\nname: x\nsteps: [{ uses: raft.snapshot }]\n", encoding="utf-8"
    )
    assert invoked(str(tmp_path)) == (0, "3 good\n", "")
    (tmp_path / "deep" / "broken.yaml").write_text("\trunbook: 1\n", encoding="utf-8")
    code, _, told = invoked(str(tmp_path), str(tmp_path / "a.yaml"))
    assert (code, told.count("\n" + str(tmp_path)), "broken.yaml:1:1: a tab" in told) == (2, 0, True)


def test_a_folder_without_a_playbook_is_told(tmp_path: Path) -> None:
    """Nothing to validate is more often a mistyped name than what was meant."""
    code, _, told = invoked(str(tmp_path))
    assert code == 2
    assert "this folder holds no playbook" in told


def test_a_name_that_is_no_text_is_told_all_the_same(tmp_path: Path) -> None:
    """A file name may hold any byte but two."""
    name = os.fsencode(tmp_path) + b"/bad-\xff-\x1b[31m.yaml"
    Path(os.fsdecode(name)).write_text("runbook: 1\n", encoding="utf-8")
    code, _, told = invoked(str(tmp_path))
    assert code == 2
    assert "bad-\N{REPLACEMENT CHARACTER}-\N{REPLACEMENT CHARACTER}[31m.yaml:1:1" in told


def test_all_faults_as_json(tmp_path: Path) -> None:
    """The same as in text, in fields."""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("runbook: 1\nname: x\nsteps: [{ uses: raft.snapshot }]\n", encoding="utf-8")
    bad.write_text("runbook: 1\nname: x\nsteps:\n  - uses: raft.snapshto\n", encoding="utf-8")
    code, printed, told = invoked("--format", "json", str(good), str(bad), str(tmp_path / "absent"))
    assert (code, told) == (2, "")
    assert json.loads(printed) == {
        "files": 3,
        "faults": [
            {
                "path": str(bad),
                "line": 4,
                "column": 11,
                "message": '"uses" of a step names no step type: "raft.snapshto"',
                "source": "  - uses: raft.snapshto",
                "suggestion": 'Did you mean "raft.snapshot"?',
            },
            {
                "path": str(tmp_path / "absent"),
                "line": 1,
                "column": 1,
                "message": "this file cannot be read: No such file or directory",
                "source": "",
                "suggestion": None,
            },
        ],
    }
    assert invoked("--format", "json", str(good)) == (0, '{\n  "files": 1,\n  "faults": []\n}\n', "")


SARIF: dict[str, Any] = {  # what SARIF 2.1.0 asks of the parts that are used here, in own words
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "$schema": {"type": "string", "format": "uri"},
        "runs": {"type": "array", "items": {"$ref": "#/$defs/run"}},
    },
    "additionalProperties": False,
    "$defs": {
        "text": {"required": ["text"], "properties": {"text": {"type": "string"}}, "additionalProperties": False},
        "run": {
            "required": ["tool"],
            "properties": {
                "tool": {"properties": {"driver": {"$ref": "#/$defs/driver"}}, "additionalProperties": False},
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
            },
            "additionalProperties": False,
        },
        "driver": {
            "required": ["name"],
            "properties": {
                "name": {"type": "string"},
                "version": {"type": "string"},
                "rules": {"items": {"required": ["id"], "properties": {"shortDescription": {"$ref": "#/$defs/text"}}}},
            },
            "additionalProperties": False,
        },
        "result": {
            "required": ["message"],
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": {"type": "integer", "minimum": -1},
                "level": {"enum": ["none", "note", "warning", "error"]},
                "message": {"$ref": "#/$defs/text"},
                "locations": {"items": {"properties": {"physicalLocation": {"$ref": "#/$defs/place"}}}},
            },
            "additionalProperties": False,
        },
        "place": {
            "properties": {
                "artifactLocation": {"properties": {"uri": {"type": "string", "pattern": r"^[!-~]+$"}}},
                "region": {
                    "properties": {
                        "startLine": {"type": "integer", "minimum": 1},
                        "startColumn": {"type": "integer", "minimum": 1},
                        "snippet": {"$ref": "#/$defs/text"},
                    },
                    "additionalProperties": False,
                },
            },
            "additionalProperties": False,
        },
    },
}


def test_all_faults_of_all_bad_playbooks_as_sarif() -> None:
    """For code scanning. It was also held once to the schema of the standard itself, which is not ours to ship."""
    code, printed, _ = invoked("--format", "sarif", *(str(path) for path in BAD), "no such file %.yaml")
    sarif = json.loads(printed)
    assert code == 2
    assert [error.message for error in Draft202012Validator(SARIF).iter_errors(sarif)] == []
    results = sarif["runs"][0]["results"]
    assert len(results) > 400
    uri = results[-1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "no%20such%20file%20%25.yaml"


def test_the_schema_is_printed_as_json() -> None:
    """Redirected into a file, it is what an editor needs."""
    result = CliRunner().invoke(main, ["schema"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_validation_loads_nothing_that_only_a_run_needs() -> None:
    """It is felt at start-up, and as a pre-commit hook."""
    heavy = {"requests", "tenacity", "rich", "structlog", "jsonschema", "json", "hashlib"}
    code = "import sys; from runbook.__main__ import main\ntry: main()\nfinally: print(*sys.modules)"
    command = [sys.executable, "-c", code, "validate", str(PLAYBOOKS / "remove-dead-peers.yaml")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout.startswith("1 good\n")
    assert not heavy & set(ended.stdout.split())


def test_the_pre_commit_hook_calls_a_verb_that_takes_files() -> None:
    """pre-commit appends the changed files to the entry."""
    (hook,) = yaml.safe_load((PLAYBOOKS.parent / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    program, *words = hook["entry"].split()
    assert (program, hook["language"], hook["id"]) == ("runbook", "python", "runbook-validate")
    files = [str(path) for path in sorted(PLAYBOOKS.glob("*.yaml"))]
    assert CliRunner().invoke(main, [*words, *files]).output == f"{len(files)} good\n"
    assert re.search(hook["files"], "deep/playbooks/a.yaml")
