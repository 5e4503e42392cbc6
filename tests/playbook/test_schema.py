"""The JSON Schema is one, and agrees with the validator on every file, as far as a schema can know."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from runbook.errors import PlaybookError
from runbook.playbook.reader import read_yaml
from runbook.playbook.schema import playbook_schema
from runbook.playbook.yaml_tree import plain_data
from runbook.steps.registry import CATALOG
from tests.playbook.cases import BAD, FILES, GOOD

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
SHIPPED = sorted([*PLAYBOOKS.glob("*.yaml"), *PLAYBOOKS.glob("examples/*.yaml")])


@cache
def validator() -> Any:
    return Draft202012Validator(playbook_schema(CATALOG))


def data_of(path: Path) -> Any:
    """The plain data of a file; None where the strict reader already refuses it."""
    try:
        root, diagnostics = read_yaml(path.read_bytes(), path.name)
        diagnostics.raise_if_any()
    except PlaybookError:
        return None
    return plain_data(root)


def semantic() -> list[str]:
    lines = (FILES / "semantic.txt").read_text(encoding="utf-8").splitlines()
    return [name for line in lines if line.startswith("  ") for name in line.split()]


def test_it_is_a_schema() -> None:
    """By the meta-schema of 2020-12."""
    Draft202012Validator.check_schema(playbook_schema(CATALOG))


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_playbook_is_good_to_the_schema(path: Path) -> None:
    """An editor underlines nothing that the validator takes."""
    assert [error.message for error in validator().iter_errors(data_of(path))] == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_playbook_is_good_to_the_schema(path: Path) -> None:
    """So with the schema that ``runbook schema`` prints."""
    assert [error.message for error in Draft202012Validator(playbook_schema(CATALOG)).iter_errors(data_of(path))] == []


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_playbook_is_bad_to_the_schema(path: Path) -> None:
    """Unless no schema could know: ``semantic.txt`` lists these, and none that the schema refuses."""
    data = data_of(path)
    if data is None:
        assert path.stem not in semantic()
    else:
        assert validator().is_valid(data) is (path.stem in semantic())


def test_the_list_of_semantic_errors_names_files_that_exist_once() -> None:
    """A file that was renamed would be a promise that nobody checks."""
    names = semantic()
    assert len(names) == len(set(names))
    assert set(names) <= {path.stem for path in BAD}
    assert sum(data_of(path) is not None for path in BAD) > 120, "the schema is asked about most of them"


def test_the_schema_names_every_key_with_what_it_is_for() -> None:
    """Completion shows the sentence that the reference has."""
    made = playbook_schema(CATALOG)
    step = made["$defs"]["step"]["properties"]
    assert step["until"]["description"].startswith("an expression over its result")
    assert step["every"]["default"] == "5s"
    assert {one["const"] for one in step["uses"]["oneOf"]} == set(CATALOG)
    assert all("description" in key for key in (*made["properties"].values(), *step.values()))
