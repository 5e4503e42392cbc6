"""`runbook clusters`: the inventory listed, shown, checked, and begun from a living cluster."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.cluster.inventory.cases import FILES
from tests.command_line import Done, followers, runbook

EVERY_KEY = FILES / "good" / "every-key.yaml"


def clusters(*words: str, inventory: Path = EVERY_KEY, where: Mapping[str, str] | None = None) -> Done:
    return runbook({**os.environ, "RUNBOOK_INVENTORY": str(inventory), **(where or {})}, "clusters", *words)


def test_they_are_listed_in_the_order_of_the_file() -> None:
    """Name, kind, labels and addresses, in columns."""
    assert clusters().stdout.splitlines() == [
        "NAME       KIND    LABELS                                   ADDRESSES",
        "nomad-eu   nomad   env=prod, team=core, example.org/tier=1  https://10.0.0.11:4646 and 2 more",
        "consul-eu  consul                                           https://10.0.0.21:8501, https://10.0.0.22:8501",
    ]


def test_a_machine_reads_them_with_stable_keys() -> None:
    """The same data for all and for one."""
    told = json.loads(clusters("--format", "json").stdout)
    assert told["inventory"] == str(EVERY_KEY)
    nomad, consul = told["clusters"]
    assert list(nomad) == ["name", "kind", "labels", "region", "addresses", "tls", "credentials", "hosts", "approve"]
    assert nomad["approve"] == {
        "by": "/etc/runbook/allowed_signers", "count": 2, "not_self": True, "within": 86400.0
    }  # fmt: skip
    assert nomad["addresses"][1]["tls_server_name"] == "server.eu.nomad"
    assert nomad["credentials"] == {"token": "exec:pass …", "login": "file:/etc/runbook/proxy-login"}
    assert nomad["hosts"][2]["stop"] == ["rc-service", "nomad", "stop"]
    assert json.loads(clusters("show", "consul-eu", "--format", "json").stdout) == consul


def test_one_is_shown_whole() -> None:
    """Everything that the file says of it, and where it stands."""
    shown = clusters("show", "nomad-eu").stdout
    assert shown.startswith(f"nomad-eu, from line 3 of {EVERY_KEY}\n")
    for line in (
        "  kind        nomad, region eu",
        f"{'':14}{'s2.eu':<36}  https://bastion.example.org:14646/nomad/2, TLS name server.eu.nomad",
        "              s2.eu  ssh ops@10.0.0.12 port 2222, by sudo, data in /opt/nomad/data, unit nomad.service",
        "              s3.eu  ssh s3, data in /srv/nomad, stopped by rc-service nomad stop",
        "  approve     2 people of /etc/runbook/allowed_signers, others than whoever runs it, within 1d",
    ):
        assert f"{line}\n" in shown


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    """And with what was probably meant."""
    done = clusters("show", "nomad-us")
    assert (done.returncode, done.stdout) == (2, "")
    assert 'names no cluster nomad-us; it has nomad-eu, consul-eu. Did you mean "nomad-eu"?' in done.stderr


def test_a_check_says_what_is_still_to_be_filled_in(tmp_path: Path) -> None:
    """By day, and with exit 0: a file that can be used is no fault."""
    path = tmp_path / "clusters.yaml"
    path.write_text(
        "inventory: 1\nclusters:\n"
        "  one: { kind: nomad, addresses: [http://a] }\n"
        "  two: { kind: nomad, addresses: [http://b, http://c], hosts: { s1: local } }\n"
        "  three: { kind: nomad, addresses: { s1: http://d, s2: http://e }, hosts: { s1: local }, data_folder: /d }\n"
    )
    done = clusters("check", inventory=path)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"{path}: 3 good",
        "one: it has one address: name each server's own, so that the one that is noted down may be the one that died",
        "one: it has no hosts: a lost quorum can only be recovered by hand",
        "two: its addresses name no servers: write them as SERVER: ADDRESS, so that a silent one is known by its name",
        "two: it has no data folder for s1",
        "two: it has no service for s1",
        "three: it has no host for s2",
        "three: it has no service for s1",
    ]


def test_a_check_reports_every_fault_at_its_place() -> None:
    """As `validate` does of a playbook, with exit 2."""
    path = FILES / "bad" / "unknown-keys.yaml"
    done = clusters("check", "--inventory", str(path))
    assert done.returncode == 2
    assert done.stderr.startswith(f"{path}:2:1: the inventory has no key")
    assert done.stderr.count("^") == len(path.with_suffix(".expected").read_text().splitlines())


@pytest.mark.parametrize("words", [(), ("show", "x"), ("check",)])
def test_where_there_is_no_inventory_it_is_said(tmp_path: Path, words: tuple[str, ...]) -> None:
    """With the two ways to name one."""
    done = runbook({"HOME": str(tmp_path)}, "clusters", *words)
    assert done.returncode == 2
    assert "there is no inventory" in done.stderr
    assert "--inventory FILE or RUNBOOK_INVENTORY" in done.stderr


def test_options_before_the_word_are_refused() -> None:
    """They would be taken for nothing."""
    assert clusters("--format", "json", "show", "nomad-eu").returncode == 2


def test_one_is_begun_from_a_living_cluster_and_used(tmp_path: Path) -> None:
    """Whole and private; it is not written over, as a person may have filled it in meanwhile."""
    path = tmp_path / "clusters.yaml"
    with SimulatedLab(3, gossip_delay=0.3, token="a-management-token") as lab:
        lab.wait_for_leader()
        dead = followers(lab)[0]
        alive = next(url for name, url in zip(lab.names, lab.addresses, strict=True) if name != dead)
        lab.kill(dead)
        where = {"NOMAD_ADDR": alive, "NOMAD_TOKEN": "a-management-token"}
        begun = clusters("init", "--name", "lab", "-o", str(path), where=where)
        assert (begun.returncode, begun.stdout) == (0, "")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        text = path.read_text()
        assert clusters("init", where=where).stdout.startswith("# The clusters that runbook --cluster NAME knows.")
        assert f"# {dead}.global: " in text
        assert "a-management-token" not in text
        again = clusters("init", "-o", str(path), where=where)
        assert again.returncode == 2
        assert f"{path} is there already" in again.stderr
        assert path.read_text() == text
        named = {"RUNBOOK_INVENTORY": str(path), "NOMAD_TOKEN": "a-management-token"}
        diagnosed = runbook({**os.environ, **named}, "diagnose", "--cluster", "lab")
    assert diagnosed.returncode == 0
    assert diagnosed.stdout.startswith("nomad:lab, as this host sees it")


def test_where_nobody_answers_nothing_is_written(tmp_path: Path) -> None:
    """Exit 4, as for every command that reaches no cluster."""
    path = tmp_path / "clusters.yaml"
    done = clusters("init", "-o", str(path), where={"NOMAD_ADDR": "http://127.0.0.1:9"})
    assert done.returncode == 4
    assert "http://127.0.0.1:9" in done.stderr
    assert not path.exists()
    assert clusters("init", "--name", "a b").returncode == 2


def test_the_schema_of_an_inventory_is_printed() -> None:
    """For the editor of whoever fills it in."""
    told = json.loads(runbook(os.environ, "schema", "--inventory").stdout)
    assert told["title"] == "Inventory of runbook"
