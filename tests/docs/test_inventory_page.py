"""The one example of docs/inventory.md is complete, good, and names a cluster that answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from runbook.cluster.inventory import keys
from runbook.cluster.inventory.parser import parse_inventory
from runbook.cluster.inventory.schema import inventory_schema
from runbook.lab.simulated import SimulatedLab
from runbook.playbook.mapping import Keys
from runbook.playbook.reader import read_yaml
from runbook.playbook.yaml_tree import MapNode, Node, Scalar, plain_data
from tests.cluster.stub import CERTIFICATE
from tests.command_line import runbook
from tests.docs.documented import fences

TOKEN = "a-management-token"


def example() -> str:
    (fence,) = [fence for fence in fences("yaml") if fence.page == "docs/inventory.md"]
    return fence.text


def keys_in(node: Node) -> set[str]:
    if isinstance(node, Scalar):
        return set()
    values = [value for _, value in node.entries.values()] if isinstance(node, MapNode) else list(node.items)
    own = set(node.entries) if isinstance(node, MapNode) else set()
    return own.union(*(keys_in(value) for value in values))


def test_it_is_good_to_the_reader_and_to_the_schema() -> None:
    """As it stands: somebody will paste it."""
    root, _ = read_yaml(example().encode(), "docs/inventory.md")
    assert len(parse_inventory(example().encode(), "docs/inventory.md").clusters) == 5
    assert Draft202012Validator(inventory_schema()).is_valid(plain_data(root))


@pytest.mark.parametrize(
    ("known", "left_out"),
    [
        (keys.INVENTORY_KEYS, set()),
        (keys.CLUSTER_KEYS, set()),
        (keys.ADDRESS_KEYS, set()),
        (keys.TLS_KEYS, {"skip_verify"}),  # nobody should paste that
        (keys.CREDENTIAL_KEYS, set()),
        (keys.HOST_KEYS, set()),
        (keys.SERVICE_KEYS, set()),
    ],
)
def test_it_shows_every_key(known: Keys, left_out: set[str]) -> None:
    """What is not shown is not found; `host: local` is the short form of `local: true`."""
    root, _ = read_yaml(example().encode(), "docs/inventory.md")
    assert {field.name for field in known} - keys_in(root) - {"local"} == left_out


def test_it_names_a_cluster_that_answers(tmp_path: Path) -> None:
    """With the addresses, the region, the files and the token of one that runs here, and nothing else changed."""
    with SimulatedLab(3, gossip_delay=0.3, token=TOKEN) as lab:
        lab.wait_for_leader()
        text = example()
        theirs = ("https://10.0.0.11:4646", "https://10.0.0.12:4646", "https://bastion.example.org:14646/nomad/3")
        for there, here in [
            *zip(theirs, lab.addresses, strict=True),
            ("exec:pass show nomad/eu", f"exec:echo {TOKEN}"),
            ("region: eu ", "region: global "),
            *((f"{name}.eu", f"{name}.global") for name in lab.names),
            *((f"/etc/runbook/{file}.pem", str(CERTIFICATE)) for file in ("nomad-ca", "nomad", "nomad-key")),
        ]:
            assert there in text
            text = text.replace(there, here)
        path = tmp_path / "clusters.yaml"
        path.write_text(text, encoding="utf-8")
        where = ("--cluster", "nomad-eu", "--inventory", str(path))
        checked = runbook(os.environ, "check", *where)
        assert checked.stdout.startswith("RAFT OK - healthy: 3 of 3 voters answer")
        assert checked.returncode == 0
        diagnosed = runbook(os.environ, "diagnose", *where)
        assert diagnosed.stdout.startswith("nomad:nomad-eu, as this host sees it")
