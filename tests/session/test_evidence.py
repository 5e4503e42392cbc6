"""What servers answer a run is kept once, without secrets, within its bounds; and verified, handed on and removed."""

from __future__ import annotations

import hashlib
import json
import stat
import tarfile
import time
from pathlib import Path

import pytest

from runbook.cluster.replies import Exchange, hand_over, handing_replies_to
from runbook.cluster.threads import gather
from runbook.cluster_events import Replied
from runbook.journal.store import read
from runbook.lab.simulated import SimulatedLab
from runbook.redaction import DEEP, Redactor
from runbook.report.server_replies import server_replies
from runbook.session import evidence
from runbook.session.evidence import EVIDENCE, EvidenceKeeper
from runbook.session.export import export_run
from tests.command_line import PLAYBOOK, QUICK, environment, followers, runbook

URL = "http://a:4646/v1/agent/self"


def told(keeper: EvidenceKeeper, *bodies: bytes) -> Replied:
    for body in bodies:
        keeper.take(Exchange("GET", URL, 200, body, len(body)))
    event = keeper.told()
    assert event is not None
    return event


@pytest.fixture
def keeper(tmp_path: Path) -> EvidenceKeeper:
    redactor = Redactor()
    redactor.learn("hunter2-hunter2")
    return EvidenceKeeper(tmp_path, redactor.hide)


def test_a_short_body_stands_in_the_journal_once_and_makes_no_file(keeper: EvidenceKeeper, tmp_path: Path) -> None:
    first, again = told(keeper, b"short"), told(keeper, b"short", b"short")
    digest = hashlib.sha256(b"short").hexdigest()
    assert first.bodies == {digest: "short"}
    assert first.replies == ({"method": "GET", "url": URL, "status": 200, "length": 5, "sha256": digest},)
    assert (again.replies, again.bodies, again.same) == ((), {}, 2)
    assert not (tmp_path / EVIDENCE).exists()
    assert keeper.told() is None


def test_a_long_body_is_a_private_file_of_its_digest_and_has_no_secret(keeper: EvidenceKeeper, tmp_path: Path) -> None:
    body = b'{"Token": "nobody-knows-it", "x": "hunter2-hunter2 ' + b"x" * 5000 + b'"}'
    event = told(keeper, body, b"other", body)
    ((digest, name),) = event.files.items()
    (path,) = (tmp_path / EVIDENCE).iterdir()
    data = path.read_bytes()
    assert (digest, path.name) == (name, f"{hashlib.sha256(data).hexdigest()}.txt")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not any(secret in data for secret in (b"hunter2", b"nobody-knows-it"))
    assert len(event.bodies[digest]) == evidence.BEGINNING
    assert not any(secret in event.bodies[digest] for secret in ("hunter2", "nobody-knows-it"))
    assert [reply["length"] for reply in event.replies] == [len(body), 5, len(body)]


def test_what_is_too_long_is_cut_off_and_counted(keeper: EvidenceKeeper, tmp_path: Path) -> None:
    event = told(keeper, b"y" * (evidence.LONGEST + 7))
    ((digest, cut),) = event.cut.items()
    assert cut == 7
    assert (tmp_path / EVIDENCE / f"{event.files[digest]}.txt").stat().st_size == evidence.LONGEST
    (row,) = server_replies([{"at": "2026-01-01T00:00:00+00:00", **event.record()}])
    assert row["cut"] == ", less its last 7 bytes"


JSON_IN_JSON = '{"x": "{\\"Token\\":\\"nobody\\\\\\"knows\\",\\"a\\":1}", "b": 2}'
BY_NAME = {
    '{"Token": "nobody\\"knows", "a": 1}': '{"Token": "(secret)", "a": 1}',
    '{"Token": "nobody\\\\", "a": 1}': '{"Token": "(secret)", "a": 1}',
    '{"X-Vault-Token" : "nobody"}': '{"X-Vault-Token" : "(secret)"}',
    '{"Tokens": ["nobody", "k]nows"], "a": []}': '{"Tokens": "(secret)", "a": []}',
    '{"ACLTokens": {"a": {"b": "nob}ody"}}, "a": 1}': '{"ACLTokens": "(secret)", "a": 1}',
    JSON_IN_JSON: '{"x": "{\\"Token\\":\\"(secret)\\",\\"a\\":1}", "b": 2}',
    '{"Token": "nobody': '{"Token": "(secret)"',
    '{"Token": "", "Tokens": [], "TokenTTL": 30, "encrypt": null}': None,
}


@pytest.mark.parametrize("text", BY_NAME)
def test_what_stands_under_the_name_of_a_secret_is_not_kept(text: str) -> None:
    assert evidence.hide_by_name(text) == (BY_NAME[text] or text)


@pytest.mark.parametrize("text", ['"' + "token" * 200_000, '"token":[' * 100_000, '\\"token":\\"' * 90_000])
def test_a_body_that_is_made_to_be_slow_is_not(text: str) -> None:
    """While a pattern is matched no signal ends the run: it must not take hours for what a server sends."""
    began = time.monotonic()
    evidence.hide_by_name(text)
    assert time.monotonic() - began < 30


SECRET = 'hunter2"hunter2'


@pytest.mark.parametrize("before", [0, evidence.LONGEST - 10, DEEP - 10])
@pytest.mark.parametrize("escaped", [json.dumps(SECRET)[1:-1], "".join(f"\\u{ord(each):04x}" for each in SECRET)])
def test_an_escaped_secret_is_found_in_a_long_body_wherever_it_is_cut(
    tmp_path: Path, before: int, escaped: str
) -> None:
    redactor = Redactor()
    redactor.learn(SECRET)
    event = told(EvidenceKeeper(tmp_path, redactor.hide), b"x" * before + escaped.encode() + b"y" * DEEP)
    ((digest, name),) = event.files.items()
    data = (tmp_path / EVIDENCE / f"{name}.txt").read_bytes()
    assert escaped[:7].encode() not in data
    assert (len(data) <= evidence.LONGEST, digest) == (True, hashlib.sha256(data).hexdigest())
    assert event.cut[digest] > 0


def full(_path: Path, _data: bytes) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_disk_is_told_once_and_ends_nothing(keeper: EvidenceKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "replace_file", full)
    first, second = told(keeper, b"a" * 5000), told(keeper, b"b" * 5000)
    assert "No space left" in first.trouble
    assert (second.trouble, first.files, second.files) == ("", {}, {})
    assert second.bodies


def test_the_folder_has_a_bound(keeper: EvidenceKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "ROOM", 9000)
    event = told(keeper, b"a" * 5000, b"b" * 5000)
    assert len(event.files) == 1
    assert "already" in event.trouble


def test_replies_beyond_a_number_are_counted_but_changes_are_always_told(
    keeper: EvidenceKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "MOST_TOLD", 1)
    keeper.take(Exchange("DELETE", URL, 200, changes=True))
    keeper.take(Exchange("DELETE", URL, 200, changes=True))
    event = told(keeper, b"a", b"b")
    assert ([reply["method"] for reply in event.replies], event.left_out) == (["DELETE", "DELETE"], 2)


def test_threads_that_work_for_a_run_hand_over_and_a_sign_in_is_never_kept() -> None:
    taken: list[Exchange] = []

    def ask(url: str) -> None:
        hand_over(Exchange("GET", url, 200))

    with handing_replies_to(taken.append):
        gather([URL, "http://a:2379/v3/auth/authenticate"], ask, lambda _: (), 5.0)
    ask(URL)
    assert [exchange.url for exchange in taken] == [URL]


def test_only_a_digest_becomes_a_link() -> None:
    reply = {"method": "GET", "url": URL, "status": 200, "length": 1, "sha256": "a"}
    event = {"kind": Replied.kind, "at": "2026-01-01T00:00:00+00:00", "replies": [reply], "files": {"a": "../../x"}}
    assert [row["file"] for row in server_replies([event])] == [""]


def test_no_evidence_is_handed_on_that_the_run_did_not_write(tmp_path: Path) -> None:
    """Edited, put there, or behind a link: each is named as left behind."""
    kept = tmp_path / "run" / EVIDENCE
    kept.mkdir(parents=True)
    mine, edited, foreign = (f"{hashlib.sha256(word).hexdigest()}.txt" for word in (b"mine", b"edited", b"foreign"))
    (kept / mine).write_bytes(b"mine")
    (kept / edited).write_bytes(b"a password")
    (kept / foreign).symlink_to(kept / mine)
    done = export_run(tmp_path / "run", tmp_path / "a.tgz")
    assert done.files == ("SHA256SUMS", f"{EVIDENCE}/{mine}")
    assert set(done.left_out) == {f"{EVIDENCE}/{edited}", f"{EVIDENCE}/{foreign}"}
    kept.rename(kept.with_name("elsewhere"))
    kept.symlink_to("elsewhere")
    assert export_run(tmp_path / "run", tmp_path / "b.tgz").left_out == ("elsewhere", EVIDENCE)


def test_a_run_keeps_what_was_answered_and_every_command_knows_of_it(state_dir: Path, tmp_path: Path) -> None:
    with SimulatedLab(3, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        lab.kill(dead := followers(lab)[0])
        lab.wait_for_gossip(dead, "failed")
        where = environment(lab, followers(lab)[1], RUNBOOK_STATE_DIR=str(state_dir))
        done = runbook(where, "execute", PLAYBOOK, *QUICK, "--param", "min_voters=2")
        assert done.returncode == 0, done.stderr
    (folder,) = (state_dir / "runs").iterdir()
    events = [event for event in read(folder / "journal.jsonl").events if event["kind"] == Replied.kind]
    asked = [reply["method"] for event in events for reply in event["replies"]]
    assert asked.count("DELETE") == 1
    assert asked.count("GET") > 5
    kept = sorted((folder / EVIDENCE).iterdir())
    assert kept
    page = (folder / "report.html").read_text()
    assert all(f'href="{EVIDENCE}/{path.name}"' in page for path in kept)
    assert f"{len(kept)} files of replies, unchanged" in runbook(where, "audit", "last").stdout
    assert runbook(where, "export", "last", "--output", str(tmp_path / "x.tgz")).returncode == 0
    with tarfile.open(tmp_path / "x.tgz") as tar:
        names = set(tar.getnames())
    assert {f"{folder.name}/{EVIDENCE}/{path.name}" for path in kept} <= names
    kept[0].write_text("another word")
    assert f"{EVIDENCE}/{kept[0].name} HAS CHANGED" in (spoilt := runbook(where, "audit", "last")).stdout
    assert spoilt.returncode != 0
