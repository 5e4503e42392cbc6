"""Whatever answers at the address: a sentence and an exit code, in time, and no server is removed for it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.cluster import stub as stubs
from tests.cluster.stub import RAFT, Answer, Server, Stub, reply, stub
from tests.command_line import PLAYBOOK, QUICK, changes, environment, followers, runbook, start

AT_ONCE = """\
runbook: 1
name: at-once
summary: The recovery without its retries.
guards: { min_voters: 3, never_worse: true }
steps:
  - id: before
    uses: raft.snapshot
  - id: dead
    uses: raft.find_dead
    with: { confirm_for: 9s, looks: 2 }
  - id: quorum
    uses: raft.check_quorum
    with: { remove: "${{ dead.peers }}" }
  - id: remove
    for_each: quorum.removals
    uses: raft.remove_peer
    with: { peer: "${{ item.id }}" }
"""


@dataclass(frozen=True)
class Case:
    """What is at the address, and the words that must be told about it."""

    answer: Answer | Server
    words: str
    tls: bool = False
    scheme: str = "http"


ALONE = {"s1": "127.0.0.1:1"}
CASES = {
    "a proxy's page": Case(reply("<html>Welcome</html>", 200, "Content-Type: text/html"), "Is a proxy between"),
    "truncated JSON": Case(reply('{"member":{"Name":"s1.glo'), "did not answer JSON"),
    "Servers null": Case(Server("s1", ALONE, odd={RAFT: reply({"Index": 0, "Servers": None})}), "leader"),
    "200 MB": Case(stubs.flood, "more than 16 MiB"),
    "a byte now and then": Case(stubs.slow_body, "no whole answer within 1 s"),
    "silence": Case(stubs.silence, "may be frozen"),
    "403": Case(reply("Permission denied", 403), "management token in NOMAD_TOKEN"),
    "an untrusted certificate": Case(reply({}), "Give the CA that signed it", tls=True, scheme="https"),
    "no TLS where TLS is expected": Case(reply({}), "Write http:// in its address", scheme="https"),
}


@pytest.fixture
def playbook(tmp_path: Path) -> str:
    path = tmp_path / "at-once.yaml"
    path.write_text(AT_ONCE, encoding="utf-8")
    return str(path)


def all_verbs(url: str, playbook: str) -> dict[str, tuple[int, str]]:
    """Exit code and text, as one line, of each verb that speaks to a cluster."""
    verbs = {"execute": ["execute", playbook], "check": ["check"], "diagnose": ["diagnose"]}
    ended = {verb: runbook({**os.environ, "NOMAD_ADDR": url}, *words) for verb, words in verbs.items()}
    return {verb: (done.returncode, " ".join((done.stdout + done.stderr).split())) for verb, done in ended.items()}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_verb_says_what_is_wrong_with_the_answer(case: Case, playbook: str, impatient: float) -> None:
    """execute and diagnose end with 4, check with 3 (2 where a cluster has no leader), all within a few time-outs."""
    table = case.answer if isinstance(case.answer, Server) else lambda *_: case.answer
    began = time.monotonic()
    with stub(table, tls_delay=0 if case.tls else None) as server:
        url = f"{case.scheme}://127.0.0.1:{server.port}"
        ended = all_verbs(url, playbook)
        assert asked_to_change(server) == []
    assert time.monotonic() - began < 3 * 5 * impatient
    for verb, (code, text) in ended.items():
        assert code in {"execute": (4,), "diagnose": (4,), "check": (2, 3)}[verb], text
        assert case.words in text, text
        assert "Traceback" not in text


def test_a_server_that_hangs_is_given_up_in_seconds_where_nobody_shortens_them(playbook: str) -> None:
    """The time-outs as they are, all those of one look together."""
    began = time.monotonic()
    with stub(lambda *_: stubs.silence) as server:
        done = runbook({**os.environ, "NOMAD_ADDR": server.url}, "diagnose")
    assert (done.returncode, "may be frozen" in done.stdout) == (4, True), done.stdout
    assert time.monotonic() - began < 15


def asked_to_change(server: Stub) -> list[str]:
    return [head.split("\r\n")[0] for _, head in server.heads if not head.startswith("GET ")]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://no-such-host.invalid:4646", "Check"),
        ("http://127.0.0.9:9", "nothing listens there. Check the address, and that the agent runs"),
    ],
)
def test_every_verb_says_where_nobody_is(url: str, words: str, playbook: str) -> None:
    """The address itself, and what to check."""
    for verb, (code, text) in all_verbs(url, playbook).items():
        assert code == {"execute": 4, "diagnose": 4, "check": 3}[verb], text
        assert url in text
        assert words in text
        assert "Traceback" not in text


# -- a cluster with one dead server, and one kind of answer that is odd


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        yield lab


@pytest.mark.parametrize(
    "path", ["/v1/agent/self", "/v1/agent/members", "/v1/operator/raft/configuration", "/v1/operator"]
)
def test_answers_cut_short_never_lead_to_a_wrong_removal(path: str, lab: SimulatedLab, playbook: str) -> None:
    """With every such answer truncated the run may be helpless; the living stay, and what it ends with is said."""
    dead, asked, *_ = followers(lab)
    lab.kill(dead)
    lab.wait_for_gossip(dead, "failed")
    lab.inject("truncate_body", path=path, times=None)
    done = runbook(environment(lab, asked), "execute", playbook, "--yes")
    assert done.returncode in (0, 1, 3, 4), done.stderr
    assert set(changes(lab)) <= {f"DELETE /v1/operator/raft/peer?id={lab.ids[dead]}"}
    assert "Traceback" not in done.stderr
    assert "fault of runbook" not in done.stdout


# -- a person who stops it


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_run_that_is_stopped_while_it_waits_ends_at_once(number: signal.Signals, lab: SimulatedLab) -> None:
    """Ctrl-C, SIGTERM and a lost terminal: 130 within a moment, nothing asked for, and the journal says where."""
    dead, asked, *_ = followers(lab)
    lab.kill(dead)
    lab.wait_for_gossip(dead, "failed")
    words = ("execute", PLAYBOOK, *QUICK, "--param", "confirm_for=60s", "--log-format", "text")
    before = signal.signal(number, signal.SIG_DFL)  # where the tests themselves run under nohup, it would inherit that
    process = start(environment(lab, asked), *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    signal.signal(number, before)
    assert process.stderr
    for line in process.stderr:
        if "waiting" in line:
            break
    began = time.monotonic()
    process.send_signal(number)
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - began < 5
    assert "INTERRUPTED at step dead" in output
    assert "changed            nothing" in output
    assert "Traceback" not in errors
    assert changes(lab) == []


# -- a playbook that cannot be run


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("raft.snapshot", "raft.snapshto"), ":7:11: "),
        (("looks: 2", "looks: many"), ":10:37: "),
        (("looks: 2", "look: 2"), "looks"),
        (("steps:", "steps: ["), "at-once.yaml:"),
        (("runbook: 1", "runbook: 9"), ":1:10: "),
    ],
    ids=["unknown step", "wrong type", "unknown parameter", "broken YAML", "another version"],
)
def test_a_broken_playbook_is_told_at_its_place_and_asks_nobody(
    change: tuple[str, str], words: str, playbook: str
) -> None:
    """Exit 2 with file, line, column and the line itself with a caret, before anything is sent."""
    Path(playbook).write_text(AT_ONCE.replace(*change), encoding="utf-8")
    with stub(lambda *_: reply({})) as server:
        done = runbook({**os.environ, "NOMAD_ADDR": server.url}, "execute", playbook)
        assert server.connections == 0
    assert done.returncode == 2
    assert words in done.stderr
    assert playbook in done.stderr
    assert "^" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("verb", "code"), [("check", 3), ("diagnose", 4)])
def test_words_that_this_terminal_cannot_show_change_no_exit_code(verb: str, code: int) -> None:
    """A proxy's page with a dash on a Latin-1 terminal: monitoring would read a traceback's exit code as a warning."""
    page = reply("Down – back soon", 500)
    with stub(lambda _method, _path: page) as there:
        where = {**os.environ, "NOMAD_ADDR": there.url, "PYTHONIOENCODING": "latin-1"}
        process = start(where, verb, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in errors) == (code, False), errors
    assert "Down \\u2013 back soon" in output
