"""Every bad inventory is reported with everything that is wrong with it; a good one is read; the JSON Schema agrees."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from runbook.cluster.inventory.parser import parse_inventory
from runbook.cluster.inventory.schema import inventory_schema
from runbook.errors import Diagnostic, PlaybookError
from runbook.playbook.reader import read_yaml
from runbook.playbook.yaml_tree import plain_data
from tests.cluster.inventory.cases import BAD, FILES, GOOD
from tests.playbook.cases import one_line

SEMANTIC = {"one-address-twice", "two-clusters-at-one-address"}  # a schema cannot compare one place with another
PASSWORD = "hunter2hunter2"


def faults_of(path: Path) -> tuple[Diagnostic, ...]:
    with pytest.raises(PlaybookError) as caught:
        parse_inventory(path.read_bytes(), path.name)
    return caught.value.diagnostics


@cache
def validator() -> Any:
    return Draft202012Validator(inventory_schema())


def data_of(path: Path) -> Any:
    """The plain data of a file; None where the strict reader already refuses it."""
    try:
        root, diagnostics = read_yaml(path.read_bytes(), path.name)
        diagnostics.raise_if_any()
    except PlaybookError:
        return None
    return plain_data(root)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_all_faults_of_a_bad_inventory_are_reported(path: Path, rewrite: bool) -> None:
    """The sibling ``.expected`` file holds every fault, in file order."""
    found = "".join(f"{one_line(diagnostic)}\n" for diagnostic in faults_of(path))
    expected = path.with_suffix(".expected")
    if rewrite:
        expected.write_text(found, encoding="utf-8")
    assert found == expected.read_text(encoding="utf-8")


def test_no_expectation_is_left_behind() -> None:
    """An ``.expected`` file without its inventory would be a promise that nobody checks."""
    assert {path.stem for path in FILES.glob("bad/*.expected")} == {path.stem for path in BAD}
    assert len(BAD) >= 25


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_no_fault_shows_a_secret(path: Path) -> None:
    """Whoever pastes a token in the wrong place does not find it in a terminal's history too (I13)."""
    told = "\n".join(diagnostic.render() for diagnostic in faults_of(path))
    assert PASSWORD not in told


def test_secrets_are_in_these_files() -> None:
    """Else the test above could not fail."""
    assert sum(path.read_text(encoding="utf-8").count(PASSWORD) for path in BAD) >= 9


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_inventory_is_good_to_reader_and_schema(path: Path) -> None:
    """An editor underlines nothing that the reader takes."""
    assert parse_inventory(path.read_bytes(), path.name).clusters
    assert [error.message for error in validator().iter_errors(data_of(path))] == []


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_inventory_is_bad_to_the_schema(path: Path) -> None:
    """Unless no schema could know."""
    data = data_of(path)
    if data is None:
        assert path.stem not in SEMANTIC
    else:
        assert validator().is_valid(data) is (path.stem in SEMANTIC)


def test_it_is_a_schema_and_says_of_each_key_what_it_is_for() -> None:
    """By the meta-schema of 2020-12; completion shows the sentence that validation has."""
    schema = inventory_schema()
    Draft202012Validator.check_schema(schema)
    cluster = schema["$defs"]["cluster"]["properties"]
    assert all("description" in key for key in (*schema["properties"].values(), *cluster.values()))


def test_what_is_read_is_what_stands_there() -> None:
    """Each key comes to its place; a host without its own data folder and service has the cluster's."""
    (nomad, consul) = parse_inventory((FILES / "good" / "every-key.yaml").read_bytes(), "x").clusters
    assert [(each.server, each.url, each.tls_server_name) for each in nomad.addresses] == [
        ("s1.eu", "https://10.0.0.11:4646", ""),
        ("s2.eu", "https://bastion.example.org:14646/nomad/2", "server.eu.nomad"),
        ("4e0f6ff8-4f57-0be1-b0a1-9e1c1b8a3a3b", "https://[2001:db8::13]:4646", ""),
    ]
    assert nomad.credentials["token"].target == ("pass", "show", "nomad/eu")
    hosts = {host.server: host for host in nomad.hosts}
    assert (hosts["s1.eu"].ssh, hosts["s1.eu"].data_folder, hosts["s1.eu"].service.unit) == (
        "",
        "/opt/nomad/data",
        "nomad.service",
    )
    assert (hosts["s2.eu"].ssh, hosts["s2.eu"].port, hosts["s2.eu"].sudo) == ("ops@10.0.0.12", 2222, True)
    assert (hosts["s3.eu"].data_folder, hosts["s3.eu"].service.stop) == ("/srv/nomad", ("rc-service", "nomad", "stop"))
    assert [(each.server, each.url) for each in consul.addresses] == [
        ("", "https://10.0.0.21:8501"),
        ("", "https://10.0.0.22:8501"),
    ]
