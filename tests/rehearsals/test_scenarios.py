"""Every bad scenario is refused with everything that is wrong with it, also one in which no real cluster could be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from runbook.errors import PlaybookError
from runbook.playbook.reader import read_yaml
from runbook.playbook.yaml_tree import plain_data
from runbook.shipped_playbooks import SCENARIOS
from runbook.simulation.scenario import CLUSTER_KEYS, EXPECT_KEYS, FAULTS, SCENARIO_KEYS, Token
from runbook.simulation.scenario_parser import parse_scenario
from runbook.simulation.scenario_schema import scenario_schema
from tests.command_line import PLAYBOOK, runbook
from tests.playbook.cases import one_line

HERE = Path(__file__).parent
BAD = sorted(HERE.glob("bad/*.yaml"))
EVERY_WORD = HERE / "every-word.yaml"


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_all_faults_of_a_bad_scenario_are_reported(path: Path, rewrite: bool) -> None:
    """The sibling ``.expected`` file holds every fault, in file order."""
    with pytest.raises(PlaybookError) as caught:
        parse_scenario(path.read_bytes(), path.name)
    found = "".join(f"{one_line(diagnostic)}\n" for diagnostic in caught.value.diagnostics)
    expected = path.with_suffix(".expected")
    if rewrite:
        expected.write_text(found, encoding="utf-8")
    assert found == expected.read_text(encoding="utf-8")


def test_a_bad_scenario_ends_with_2_and_its_place() -> None:
    """Before anything is played."""
    path = HERE / "bad" / "impossible.yaml"
    done = runbook(os.environ, "rehearse", PLAYBOOK, "--scenario", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{path}:6:21: at 5 s s4 is dead already, so kill cannot befall it" in done.stderr


def test_what_only_the_play_can_tell_ends_with_2_too(tmp_path: Path) -> None:
    """Who leads then is not in the file: three of three die one by one, and then there is no leader to kill."""
    faults = "".join(f"  - {{ at: {at}s, kill: leader }}\n" for at in (5, 20, 40))
    path = tmp_path / "mine.yaml"
    path.write_text(f"scenario: 1\nname: mine\ncluster: {{ kind: nomad, servers: 3 }}\nfaults:\n{faults}")
    done = runbook(os.environ, "rehearse", PLAYBOOK, "--scenario", str(path), "--quiet")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{path}:7: at 40 s kill leader cannot be: nobody leads then" in done.stderr


def test_every_word_of_a_scenario_is_played() -> None:
    """Each fault befalls the cluster, and each key has a value that is not its default."""
    scenario = parse_scenario(EVERY_WORD.read_bytes(), EVERY_WORD.name)
    text = EVERY_WORD.read_text(encoding="utf-8")
    assert {fault.kind.word for fault in scenario.faults} == set(FAULTS)
    for keys in (SCENARIO_KEYS, CLUSTER_KEYS, EXPECT_KEYS):
        assert not [name for name in keys.fields if f"{name}:" not in text]
    assert scenario.token is Token.RIGHT
    done = runbook(os.environ, "rehearse", PLAYBOOK, "--scenario", str(EVERY_WORD), "--quiet")
    assert done.returncode in (0, 1), done.stderr


IN_TIME_OR_BY_NAME = {  # what no schema can tell
    "impossible", "no-version", "protocol-of-another-release", "versions", "empty",
}  # fmt: skip


def test_the_schema_takes_the_good_and_refuses_the_bad() -> None:
    """An editor that has it says what validation says, but for what only time and names tell."""
    schema = Draft202012Validator(scenario_schema())

    def is_good(path: Path) -> bool:
        root, _ = read_yaml(path.read_bytes(), path.name, "a scenario")
        return bool(schema.is_valid(plain_data(root)))

    for path in (*Path(SCENARIOS).glob("*.yaml"), EVERY_WORD):
        assert is_good(path), path
    for path in BAD:
        if path.stem not in IN_TIME_OR_BY_NAME:
            assert not is_good(path), path


def test_the_schema_is_printed() -> None:
    assert '"title": "Scenario of runbook"' in runbook({}, "schema", "--scenario").stdout
