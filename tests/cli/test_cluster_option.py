"""`--cluster NAME` names a cluster of the inventory, for every command that asks one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.command_line import PLAYBOOK, QUICK, changes, followers, runbook

VERBS = (("diagnose",), ("check",), ("execute", PLAYBOOK, *QUICK))


@dataclass(frozen=True)
class Desk:
    """A practice cluster with one dead follower, and an inventory that names it and another one."""

    lab: SimulatedLab
    environment: dict[str, str]
    dead: str


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        dead = followers(lab)[-1]
        lab.kill(dead)
        lab.wait_for_gossip(dead, "failed")
        yield Desk(lab, {**os.environ, "RUNBOOK_INVENTORY": str(inventory(tmp_path, lab))}, dead)


def inventory(folder: Path, lab: SimulatedLab) -> Path:
    listed = "".join(f"      {n}.global: {url}\n" for n, url in zip(lab.names, lab.addresses, strict=True))
    path = folder / "clusters.yaml"
    path.write_text(
        f"inventory: 1\nclusters:\n  lab:\n    kind: nomad\n    addresses:\n{listed}"
        "  elsewhere: { kind: consul, addresses: [http://127.0.0.1:9] }\n"
    )
    return path


def test_every_command_asks_the_cluster_that_is_named(desk: Desk) -> None:
    """Whatever the environment names; and the command that comes next names it again."""
    environment = {**desk.environment, "NOMAD_ADDR": "http://127.0.0.1:9", "CONSUL_HTTP_ADDR": "127.0.0.1:9"}
    named = ("--cluster", "lab")
    diagnosed, checked, executed = (runbook(environment, *verb, *named) for verb in VERBS)
    assert diagnosed.stdout.startswith("nomad:lab, as this host sees it")
    assert "run:  runbook execute remove-dead-peers --cluster lab" in diagnosed.stdout
    assert checked.stdout.startswith("RAFT WARNING")
    assert "next: runbook execute remove-dead-peers --cluster lab" in checked.stdout
    assert executed.returncode == 0
    assert f"removed            {desk.dead}.global" in executed.stdout
    assert len(changes(desk.lab)) == 1
    assert "nomad:lab" in runbook(environment, "runs").stdout


def test_a_resumed_run_knows_its_cluster(desk: Desk) -> None:
    """Whoever goes on with it need not know by which name and file it began; another name is refused."""
    playbook = Path(desk.environment["RUNBOOK_INVENTORY"]).with_name("fails.yaml")
    flag = playbook.with_name("flag")
    playbook.write_text(
        "runbook: 1\nname: fails\nsteps:\n  - uses: raft.snapshot\n"
        f"  - uses: command.run\n    effect: read\n    with: {{ argv: [test, -e, {flag}] }}\n"
    )
    began = runbook(desk.environment, "execute", str(playbook), "--cluster", "lab")
    assert began.returncode == 1, began.stderr
    flag.touch()
    bare = {name: value for name, value in desk.environment.items() if name != "RUNBOOK_INVENTORY"}
    other = runbook(desk.environment, "resume", "last", "--cluster", "elsewhere")
    assert other.returncode == 2
    assert "the run began on nomad:lab" in other.stderr
    resumed = runbook(bare, "resume", "last")
    assert resumed.returncode == 0, resumed.stderr


WRONG = [
    (("--cluster", "lob"), 'names no cluster lob; it has lab, elsewhere. Did you mean "lab"?'),
    (("--inventory", "x.yaml"), "say which one with --cluster NAME"),
    (("--cluster", "lab", "--kind", "nomad"), "goes with no --cluster"),
    (("--cluster", "lab", "--inventory", "missing.yaml"), "missing.yaml cannot be read: No such file or directory"),
    (("--cluster", "lab", "--inventory", PLAYBOOK), 'the inventory has no key "runbook"'),
]


@pytest.mark.parametrize(("words", "sentence"), WRONG)
def test_what_names_no_cluster_is_refused(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    """Exit 2 with the next action; a check says UNKNOWN. Nobody is asked for anything."""
    path = tmp_path / "clusters.yaml"
    entry = "{ kind: nomad, addresses: [http://%s] }"
    path.write_text(f"inventory: 1\nclusters:\n  lab: {entry % 'a'}\n  elsewhere: {entry % 'b'}\n")
    environment = {**os.environ, "RUNBOOK_INVENTORY": str(path)}
    for verb in VERBS:
        done = runbook(environment, *verb, *words)
        assert done.returncode == (3 if verb == ("check",) else 2), done
        assert sentence in " ".join((done.stdout + done.stderr).split())


def test_two_products_in_the_environment_are_refused_unless_one_is_said() -> None:
    """A host that has both set is an ordinary one, and a silent choice may be the wrong one."""
    environment = {**os.environ, "NOMAD_ADDR": "http://127.0.0.1:9", "CONSUL_HTTP_ADDR": "127.0.0.2:9"}
    for verb in VERBS:
        done = runbook(environment, *verb)
        assert done.returncode == (3 if verb == ("check",) else 2)
        assert "NOMAD_ADDR and CONSUL_HTTP_ADDR are set" in done.stdout + done.stderr
    assert "127.0.0.2:9" in runbook(environment, "check", "--kind", "consul").stdout
    assert "127.0.0.1:9" in runbook(environment, "check", "--kind", "nomad").stdout


def test_a_token_of_the_inventory_is_seen_nowhere(desk: Desk, tmp_path: Path) -> None:
    """Not in the record, not on the screen, not in what a command of the playbook prints (I13)."""
    token = "the-token-of-the-inventory"
    path = Path(desk.environment["RUNBOOK_INVENTORY"])
    path.write_text(
        path.read_text().replace("    kind: nomad\n", "    kind: nomad\n    credentials: { token: env:LAB }\n")
    )
    (tmp_path / "echoed").write_text(token)
    playbook = tmp_path / "echo.yaml"
    playbook.write_text(
        "runbook: 1\nname: echo\nsteps:\n  - uses: raft.snapshot\n"
        f"  - uses: command.run\n    effect: read\n    with: {{ argv: [cat, {tmp_path}/echoed] }}\n"
    )
    done = runbook({**desk.environment, "LAB": token}, "execute", str(playbook), "--cluster", "lab")
    assert done.returncode == 0, done.stderr
    record = "".join(
        file.read_text(encoding="utf-8", errors="replace")
        for file in Path(os.environ["RUNBOOK_STATE_DIR"]).rglob("*")
        if file.is_file()
    )
    assert "(secret)" in record
    assert token not in record + done.stdout + done.stderr


def test_a_helper_that_hangs_ends_a_check_in_its_time(tmp_path: Path) -> None:
    """A monitor waits for nobody's token."""
    path = tmp_path / "clusters.yaml"
    entry = "{ kind: nomad, addresses: [http://a], credentials: { token: 'exec:sleep 30' } }"
    path.write_text(f"inventory: 1\nclusters: {{ lab: {entry} }}\n")
    done = runbook({**os.environ, "RUNBOOK_INVENTORY": str(path)}, "check", "--cluster", "lab", "--timeout", "0.3")
    assert (done.returncode, done.stdout) == (
        3,
        "RAFT UNKNOWN - the look did not finish within 0.3 s; next: runbook diagnose --cluster lab\n",
    )
