"""Every step type and control word in one run in the lab, seen in its journal; and a secret that is seen nowhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runbook.lab.simulated import SimulatedLab
from runbook.playbook.step_outline import STEP_KEYS
from runbook.steps.registry import CATALOG
from tests.command_line import Done, runbook
from tests.steps.server import Asked, Server, serving

HERE = Path(__file__).parent
PLAYBOOK = HERE / "every-word.yaml"
CANARY = 'c4nary-7f/31&b"9é'  # it has what URLs, JSON and shells write in another way
BUSY = 503
WITHOUT_QUORUM = {  # refused where a leader is, or in need of a machine or a terminal: tests/steps and tests/contract
    "host.backup",
    "host.service",
    "raft.add_server",
    "raft.collect_survivors",
    "raft.confirm_recovery",
    "raft.force_new_cluster",
    "raft.join_empty",
    "raft.plan_recovery",
    "raft.restore_snapshot",
    "raft.stop_frozen",
    "raft.verify_recovery",
    "raft.write_peers",
}
WORDS = set(CATALOG.ours) - WITHOUT_QUORUM


@dataclass
class Desk:
    """A cluster of five with one dead server, a web server that is busy at first, and an ssh that says yes."""

    lab: SimulatedLab
    server: Server
    folder: Path
    token: str

    def type(self, *arguments: str, **more: str) -> Done:
        environment = {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "NOMAD_ADDR": self.lab.addresses[self.lab.names.index(self.lab.wait_for_leader())],
            "NOMAD_TOKEN": self.token,
            "HOOK_TOKEN": CANARY,
            **more,
        }
        return runbook(environment, *arguments)

    def execute(self, *more: str) -> Done:
        given = ("--param", f"url={self.server.url}", "--param", f"folder={self.folder}")
        return self.type("execute", str(self.folder / PLAYBOOK.name), *given, "--yes", *more)

    @property
    def events(self) -> list[dict[str, Any]]:
        runs = Path(os.environ["RUNBOOK_STATE_DIR"]) / "runs"
        newest = max(runs.iterdir(), key=lambda folder: folder.stat().st_mtime)
        return [json.loads(line) for line in (newest / "journal.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    for name in (PLAYBOOK.name, "inner.yaml"):
        shutil.copy(HERE / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for name in ("ssh", "scp"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\necho up\n")
        (tmp_path / "bin" / name).chmod(0o755)
    token = "5f1c8a52-0000-4000-8000-canary000001"
    with serving() as server, SimulatedLab(5, gossip_delay=0.3, token=token) as lab:
        busy = iter([BUSY, BUSY])
        server.table["/flaky"] = lambda: (next(busy, 200), {}, b'{"echo": "%s"}' % CANARY.encode())
        dead = next(name for name in lab.names if name != lab.wait_for_leader())
        lab.kill(dead)
        lab.wait_for_gossip(dead, "failed")
        yield Desk(lab, server, tmp_path, token)


def test_the_playbook_holds_every_step_type_and_every_control_word() -> None:
    """Else the next test would prove less than it says."""
    text = PLAYBOOK.read_text(encoding="utf-8")
    assert {name for name in WORDS if f"uses: {name}\n" not in text} == set()
    assert {key.name for key in STEP_KEYS if f" {key.name}:" not in text} == set()


def test_it_runs_and_its_journal_shows_each(desk: Desk) -> None:
    """Each type completed; retries, rounds, waits, handlers, a skip, a failure that was gone on from, an undo."""
    done = desk.execute()
    assert done.returncode == 0, done.stdout + done.stderr
    events = desk.events
    started = {event["uses"] for event in events if event["kind"] == "step.started"}
    assert WORDS | {"block"} == started
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        by_kind.setdefault(event["kind"], []).append(event)
    completed = {event["step"]: event for event in by_kind["step.completed"]}
    assert [event["step"] for event in by_kind["attempt.failed"]] == ["asked", "asked"]
    assert completed["rolling.2.told"]["message"].strip() == "b is number 2"
    assert sorted(event["item"] for event in by_kind["item.completed"] if event["step"] == "each") == [0, 1]
    assert [event["step"] for event in by_kind["step.failed"]] == ["weak"]
    assert {"weak_failed", "weak_over", "goodbye", "inner/hello"} <= set(completed)
    assert "skipped" in {event["step"] for event in by_kind["step.skipped"]}
    assert completed["kept"]["undo"].startswith("rm ")
    assert completed["goodbye"]["message"] == "every-word ended: success"
    assert len(by_kind["removal.confirmed"]) == 1
    assert {event["kind"] for event in by_kind["change.approved"]}
    assert by_kind["playbook.entered"][0]["params"] == {"who": "every-word"}


def test_a_dry_run_of_it_changes_nothing_anywhere(desk: Desk) -> None:
    """Only what says that it reads is done, where that is wanted; every other step says what it would do."""
    for more, methods in (((), set()), (("--run-reads",), {"GET"})):
        done = desk.execute("--dry-run", *more)
        assert done.returncode == 0, done.stdout + done.stderr
        assert {asked.method for asked in desk.server.asked} == methods
    assert not [request for request in desk.lab.requests if request.changes]
    assert not [event for event in desk.events if event["kind"] == "removal.requested"]


def files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_secret_is_found_nowhere_in_what_is_written_and_printed(desk: Desk, form: str) -> None:
    """I13: in a token, a param, a variable, a command's output, an HTTP reply that echoes it, an error's text."""
    text = PLAYBOOK.read_text(encoding="utf-8")
    text = text.replace("params:\n", "params:\n  loose: { type: string, required: true }\n", 1)
    text = text.replace(
        '  - id: goodbye\n    uses: log.message\n    with: { text: "${{ run.name }} ended: ${{ run.outcome }}" }',
        '  - id: goodbye\n    uses: log.message\n    if: outcome(asked) == "success"\n'
        '    with: { text: "ended with ${{ params.loose }} and ${{ asked.body }}" }',
    ).replace("""'echo "$RACK is number $NUMBER"'""", "'echo $HOOK_TOKEN; echo $HIDDEN; exit 3'")
    text = text.replace("env: { RACK", 'env: { HIDDEN: "${{ secrets.hook }}", RACK')
    (desk.folder / PLAYBOOK.name).write_text(text, encoding="utf-8")
    done = desk.execute("--param", f"loose={CANARY}", "--log-format", form, "-v")
    assert done.returncode == 1, done.stdout + done.stderr
    shown = desk.type("show", "last").stdout + desk.type("show", "last", "--format", "json").stdout
    assert any(asked.headers.get("x-token", "").startswith("c4nary") for asked in requests_of(desk))
    written = {path: path.read_bytes() for path in files_below(Path(os.environ["RUNBOOK_STATE_DIR"]))}
    assert {"journal.jsonl", "playbook.yaml", "snapshot.json", "answer.json"} <= {path.name for path in written}
    forms = [CANARY, json.dumps(CANARY)[1:-1], "c4nary-7f", "canary000001", "YzRuYXJ5"]
    for spelled in forms:
        leaks = [path.name for path, data in written.items() if spelled.encode() in data]
        assert leaks == [], spelled
        assert spelled not in done.stdout + done.stderr + shown, spelled
    assert "(secret)" in done.stdout + done.stderr + shown


def requests_of(desk: Desk) -> list[Asked]:
    return desk.server.asked


def test_where_each_param_came_from_is_shown(desk: Desk) -> None:
    """The command line before the file, the file before the environment, that before the default."""
    file = desk.folder / "params.yaml"
    file.write_text("racks: { c: 3 }\nurl: http://127.0.0.1:1\n")
    desk.execute("--params-file", str(file), "--dry-run")
    shown = desk.type("show", "last").stdout
    assert f"param url = {desk.server.url} (--param)" in shown
    assert f"param racks = {{'c': 3}} ({file})" in shown
    desk.type(
        "execute",
        str(desk.folder / PLAYBOOK.name),
        "--dry-run",
        RUNBOOK_PARAM_URL=desk.server.url,
        RUNBOOK_PARAM_FOLDER=str(desk.folder),
    )
    shown = desk.type("show", "last").stdout
    assert f"param url = {desk.server.url} (RUNBOOK_PARAM_URL)" in shown
    assert "(default)" in shown


def test_a_run_whose_param_held_a_secret_is_not_gone_on_with(desk: Desk) -> None:
    """The record has no secret, so a resumed run would work with the word that stands for it."""
    text = PLAYBOOK.read_text(encoding="utf-8").replace('echo "$RACK is', 'exit 3; echo "$RACK is')
    (desk.folder / PLAYBOOK.name).write_text(text, encoding="utf-8")
    assert desk.execute("--param", f"racks={json.dumps({'a': CANARY})}").returncode == 1
    seen = len(desk.lab.requests)
    done = desk.type("resume", "last", "--yes")
    assert (done.returncode, len(desk.lab.requests)) == (2, seen)
    assert "param racks held a secret, which no record keeps" in done.stderr
