"""The head of a journal is signed by a real key, and an audit tells apart what a signature is not worth."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from runbook.journal.store import read
from runbook.session.journal_signature import SIGNATURE, sign_journal
from tests.approvers import Signer, allowed_signers, signer
from tests.cli.test_audit import anew, events_of
from tests.command_line import Done, runbook

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")
NOTHING = """\
runbook: 1
name: nothing
steps:
  - id: say
    uses: wait.for
    with: { duration: 1s }
"""


@pytest.fixture
def ann(tmp_path: Path) -> Signer:
    return signer(tmp_path, "ann@example.org")


def run(tmp_path: Path, *words: str) -> Done:
    (path := tmp_path / "nothing.yaml").write_text(NOTHING)
    done = runbook({**os.environ, "NOMAD_ADDR": "http://127.0.0.1:1"}, "execute", str(path), "--yes", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def audit(signers: Path, *words: str) -> Done:
    return runbook(dict(os.environ), "audit", "last", "--signers", str(signers), *words)


def signature_row(done: Done) -> str:
    return next(line[19:] for line in done.stdout.splitlines() if line.startswith("signature"))


@pytest.fixture
def folder(state_dir: Path, tmp_path: Path, ann: Signer) -> Path:
    run(tmp_path, "--sign-journal", str(ann.key))
    (folder,) = (state_dir / "runs").iterdir()
    assert (folder / SIGNATURE).stat().st_mode & 0o777 == 0o600
    return folder


def test_a_signature_over_the_head_holds(folder: Path, tmp_path: Path, ann: Signer) -> None:
    done = audit(allowed_signers(tmp_path, ann))
    assert (done.returncode, "ann@example.org signed the head" in signature_row(done)) == (0, True), done.stdout
    assert SIGNATURE not in done.stdout
    assert f"{folder.name}/{SIGNATURE}" not in done.stdout
    assert audit(allowed_signers(tmp_path, ann), "--signer", ann.name).returncode == 0


def test_a_stranger_and_somebody_else(folder: Path, tmp_path: Path, ann: Signer) -> None:
    (tmp_path / "more").mkdir()
    bob = signer(tmp_path / "more", "bob@example.org")
    stranger = audit(allowed_signers(tmp_path, bob))
    assert (stranger.returncode, "does not know" in signature_row(stranger)) == (4, True), folder
    other = audit(allowed_signers(tmp_path, ann, bob), "--signer", bob.name)
    assert (other.returncode, signature_row(other)) == (4, f"signed by {ann.name}, not {bob.name}")


@pytest.mark.parametrize(
    "option", ['valid-before="20200101"', 'valid-after="20990101"', 'namespaces="runbook-approval"']
)
def test_a_key_that_is_known_for_something_else(folder: Path, tmp_path: Path, ann: Signer, option: str) -> None:
    """It is no stranger's: its time is over, or it signs plans."""
    done = audit(allowed_signers(tmp_path, lines=f"{ann.name} {option} {ann.public}\n"))
    assert (done.returncode, "or does not allow now and for a journal" in signature_row(done)) == (4, True), folder


def test_no_signature(folder: Path, tmp_path: Path, ann: Signer) -> None:
    (folder / SIGNATURE).unlink()
    done = audit(allowed_signers(tmp_path, ann))
    assert (done.returncode, "there is no journal.sig" in signature_row(done)) == (3, True)
    assert runbook(dict(os.environ), "audit", "last").returncode == 0


def test_events_after_the_signature(folder: Path, tmp_path: Path, ann: Signer) -> None:
    events = events_of(folder)
    anew(folder, [*events, {"at": events[-1]["at"], "kind": "run.acknowledged", "who": "x", "comment": "y"}])
    done = audit(allowed_signers(tmp_path, ann))
    assert (done.returncode, signature_row(done)) == (
        5,
        f"{ann.name} signed event {len(events)}; the 1 that follow are not signed",
    )


def test_an_earlier_signature_with_the_journal_of_that_time_is_good_and_no_more_is_claimed(
    folder: Path, tmp_path: Path, ann: Signer
) -> None:
    """As of a run that was interrupted, signed, and resumed: only a head that was kept elsewhere shows the rest."""
    journal = folder / "journal.jsonl"
    journal.write_text("".join(journal.read_text(encoding="utf-8").splitlines(keepends=True)[:-2]), encoding="utf-8")
    assert audit(allowed_signers(tmp_path, ann)).returncode == 1
    assert sign_journal(folder, read(journal).head, str(ann.key)) == "", "as the process before the last one did"
    done = audit(allowed_signers(tmp_path, ann))
    assert done.returncode == 0
    told = " ".join(done.stdout.split())
    assert "can be taken away with its signature: keep the head elsewhere" in told
    assert "taken away an" not in told


def test_a_journal_that_was_written_anew(folder: Path, tmp_path: Path, ann: Signer) -> None:
    events = events_of(folder)
    anew(folder, [{**event, "who": "nobody"} if event["kind"] == "run.started" else event for event in events])
    done = audit(allowed_signers(tmp_path, ann))
    assert (done.returncode, "no event has" in signature_row(done)) == (1, True)


def test_a_signature_that_was_changed(folder: Path, tmp_path: Path, ann: Signer) -> None:
    path = folder / SIGNATURE
    path.write_text(path.read_text().replace("head ", "head 0", 1))
    assert audit(allowed_signers(tmp_path, ann)).returncode == 1


def test_a_key_that_does_not_sign_ends_no_run(state_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("no key")
    done = run(tmp_path, "--sign-journal", str(tmp_path / "key"))
    assert "the journal is not signed: ssh-keygen made no signature" in done.stderr
    assert not list(state_dir.glob(f"runs/*/{SIGNATURE}"))
