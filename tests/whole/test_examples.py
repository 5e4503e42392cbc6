"""The playbooks of ``playbooks/examples``, each run in the lab: what it does, and what it leaves alone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.command_line import Done, runbook
from tests.steps.server import Answer, Server, serving

EXAMPLES = sorted((Path(__file__).parents[2] / "playbooks" / "examples").glob("*.yaml"))
SSH = """#!{python}
import sys, urllib.error, urllib.parse, urllib.request
try:
    line = urllib.parse.quote(" ".join(sys.argv[1:]))
    print(urllib.request.urlopen("{url}/ssh?line=" + line).read().decode())
except urllib.error.HTTPError:
    sys.exit("it failed")
"""


class Table(dict[str, Any]):
    """Everything that is asked for over ssh goes to one function."""

    ssh: Callable[[str], bool] = staticmethod(lambda _line: True)

    def get(self, path: str, otherwise: Any = None) -> Any:
        if not path.startswith("/ssh?"):
            return super().get(path, otherwise)
        (line,) = parse_qs(urlsplit(path).query)["line"]
        return (200 if self.ssh(line) else 500, {}, b"done")


@dataclass
class Desk:
    """A cluster of five, a web server, and an ssh that the test answers."""

    lab: SimulatedLab
    server: Server
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def table(self) -> Table:
        assert isinstance(self.server.table, Table)
        return self.server.table

    def kill(self, name: str) -> None:
        self.lab.kill(name)
        self.lab.wait_for_gossip(name, "failed")

    def follower(self) -> str:
        return next(name for name in self.lab.names if name != self.lab.wait_for_leader())

    def execute(self, name: str, *more: str, **params: object) -> Done:
        given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in params.items()}
        words = [word for key, value in given.items() for word in ("--param", f"{key}={value}")]
        environment = {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "NOMAD_ADDR": self.lab.addresses[self.lab.names.index(self.lab.wait_for_leader())],
            **self.environment,
        }
        path = next(path for path in EXAMPLES if path.stem == name)
        return runbook(environment, "execute", str(path), *words, *more)

    def sent(self, method: str) -> list[Any]:
        return [json.loads(asked.body) for asked in self.server.asked if asked.method == method]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with serving() as server, SimulatedLab(5, gossip_delay=0.3) as lab:
        server.table = Table()
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "ssh").write_text(SSH.format(python=sys.executable, url=server.url))
        (tmp_path / "bin" / "ssh").chmod(0o755)
        yield Desk(lab, server, tmp_path)


def answer(status: int, data: object) -> Answer:
    return (status, {"Content-Type": "application/json"}, json.dumps(data).encode())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_good_and_warns_of_nothing(path: Path) -> None:
    """Seven of them, each with a sentence of what it does."""
    done = runbook({}, "validate", str(path))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert len(EXAMPLES) == 7


def test_servers_are_restarted_one_by_one_with_all_voters_back_in_between(desk: Desk) -> None:
    """The leader of the beginning comes last; each restart really takes the server down."""
    leader, restarted, away = desk.lab.wait_for_leader(), list[str](), list[int]()

    def ssh(line: str) -> bool:
        name = next(part for part in line.split() if part.startswith("host-")).removeprefix("host-")
        restarted.append(name)
        away.append(sum(row["state"] != "running" for row in desk.lab.status()["servers"]))
        desk.lab.kill(name)
        desk.lab.restart(name)
        return True

    desk.table.ssh = ssh
    hosts = {peer: f"host-{peer.partition('.')[0]}" for peer in (f"{name}.global" for name in desk.lab.names)}
    done = desk.execute("rolling-restart-by-ssh", "--yes", hosts=hosts)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(restarted) == desk.lab.names
    assert restarted[-1] == leader
    assert away == [0] * 5


def test_no_server_is_restarted_where_one_is_away(desk: Desk) -> None:
    """Or where a host is missing."""
    done = desk.execute("rolling-restart-by-ssh", "--yes", hosts={"s1.global": "host-s1"})
    assert (done.returncode, "no host is given for s2.global" in done.stdout + done.stderr) == (1, True)


def test_a_dead_server_is_replaced(desk: Desk) -> None:
    """Removed, and its successor started once it is gone; the end is five voters again."""
    dead = desk.follower()
    desk.kill(dead)
    lines: list[str] = []

    def ssh(line: str) -> bool:
        lines.append(line)
        desk.lab.restart(dead, wiped=True)
        return True

    desk.table.ssh = ssh
    done = desk.execute("replace-dead-server", "--yes", successor="new-host")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [("new-host" in line, line.endswith("systemctl start nomad")) for line in lines] == [(True, True)]
    assert [request.method for request in desk.lab.requests if request.changes] == ["DELETE"]
    assert "5 of 5 voters are alive" in done.stdout + done.stderr


def test_nothing_is_replaced_where_all_are_well(desk: Desk) -> None:
    done = desk.execute("replace-dead-server", "--yes", successor="new-host")
    assert (done.returncode, "0 servers are dead" in done.stdout + done.stderr) == (1, True)
    assert [request for request in desk.lab.requests if request.changes] == []


def test_a_snapshot_a_day_is_kept_for_seven_days(desk: Desk) -> None:
    """The eighth takes the oldest away; the switch is told only when all went well."""
    folder = desk.folder / "backups"
    folder.mkdir()
    for day in range(1, 9):
        (folder / f"raft-2020-01-0{day}.snap").write_text("old")
        os.utime(folder / f"raft-2020-01-0{day}.snap", (day, day))
    desk.environment = {"SNAPSHOT_PING_URL": f"{desk.server.url}/ping-a-secret-key"}
    done = desk.execute("daily-snapshot", folder=str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    kept = sorted(path.name for path in folder.iterdir())
    assert len(kept) == 7
    assert kept[:6] == [f"raft-2020-01-0{day}.snap" for day in range(3, 9)]
    assert [asked.path for asked in desk.server.asked] == ["/ping-a-secret-key"]
    missing = desk.execute("daily-snapshot", folder=str(desk.folder / "nobody"))
    assert missing.returncode == 1
    assert len(desk.server.asked) == 1


@pytest.mark.parametrize(("serving_", "code", "set_to"), [(True, 0, ["standby"]), (False, 1, ["standby", "primary"])])
def test_a_web_service_fails_over_and_back_where_that_does_not_help(
    desk: Desk, serving_: bool, code: int, set_to: list[str]
) -> None:
    url = desk.server.url
    desk.server.table |= {"/primary": answer(503, {}), "/standby": answer(200, {"serving": serving_})}
    desk.environment = {"BALANCER_TOKEN": "c4nary-of-the-balancer"}
    params = {"primary": f"{url}/primary", "standby": f"{url}/standby", "balancer": f"{url}/backend"}
    done = desk.execute("fail-over-web", "--yes", **params)
    assert done.returncode == code, done.stdout + done.stderr
    assert [sent["backend"] for sent in desk.sent("PUT")] == set_to
    assert "c4nary" not in done.stdout + done.stderr


def test_a_web_service_that_is_well_is_left_alone(desk: Desk) -> None:
    url = desk.server.url
    desk.environment = {"BALANCER_TOKEN": "c4nary-of-the-balancer"}
    done = desk.execute("fail-over-web", "--yes", primary=f"{url}/a", standby=f"{url}/b", balancer=f"{url}/c")
    assert (done.returncode, desk.sent("PUT")) == (0, [])


def test_a_command_runs_on_twenty_hosts_and_the_end_names_those_where_it_failed(desk: Desk) -> None:
    """Each host once."""
    lines: list[str] = []

    def ssh(line: str) -> bool:
        lines.append(line)
        return "host-7 " not in line and "host-13 " not in line

    desk.table.ssh = ssh
    hosts = [f"host-{number}" for number in range(1, 21)]
    done = desk.execute("on-many-hosts", "--yes", hosts=hosts)
    assert done.returncode == 1, done.stdout + done.stderr
    assert sorted(word for line in lines for word in line.split() if word.startswith("host-")) == sorted(hosts)
    assert "done on 18 of 20 hosts" in done.stdout + done.stderr
    assert "failed on host-7, host-13" in done.stdout + done.stderr


def test_a_client_is_drained_rebooted_and_made_eligible_again(desk: Desk) -> None:
    """It is not rebooted before its work has moved."""
    client, asked, order = "0a1b2c3d", iter([{"Deadline": 1}, {"Deadline": 1}, None]), list[str]()

    def drained() -> Answer:
        strategy = next(asked)
        order.append("drained" if strategy is None else "draining")
        return answer(200, {"DrainStrategy": strategy})

    def ssh(_line: str) -> bool:
        order.append("reboot")
        return True

    desk.table.ssh = ssh
    desk.server.table[f"/v1/node/{client}"] = drained
    desk.environment = {"NOMAD_TOKEN": "c4nary-of-nomad"}
    port = int(desk.server.url.rpartition(":")[2])
    done = desk.execute(
        "drain-and-reboot", "--yes", host="127.0.0.1", client=client, nomad=desk.server.url, port=port, deadline="10m"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert order == ["draining", "draining", "drained", "reboot"]
    assert desk.sent("POST") == [
        {"DrainSpec": {"Deadline": 600_000_000_000, "IgnoreSystemJobs": True}},
        {"Eligibility": "eligible"},
    ]


def test_the_chat_reads_who_is_dead_and_where_the_evidence_is(desk: Desk) -> None:
    """And nothing while all are well."""
    desk.environment = {"CHAT_WEBHOOK": f"{desk.server.url}/hook-a-secret-key"}
    assert desk.execute("post-evidence", "--yes").returncode == 0
    assert desk.sent("POST") == []
    dead = desk.follower()
    desk.kill(dead)
    done = desk.execute("post-evidence", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    (said,) = desk.sent("POST")
    assert f"1 of 5 voters are dead; 1 more may fail.\nDead: {dead}.global\nUnknown: \n" in said["text"]
    evidence = Path(said["text"].partition("Evidence: ")[2].partition(" (")[0])
    verdicts = {peer["name"]: peer["verdict"] for peer in json.loads(evidence.read_text())["peers"]}
    assert [name for name, verdict in verdicts.items() if verdict == "dead"] == [f"{dead}.global"]
