"""Real keys and real files beside a plan: whose signature it is, and that no file there hangs or forges anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path

import pytest

from runbook.approvals import Executors, approval_text
from runbook.errors import SettingsError
from runbook.playbook.approval_rule import ApprovalRule
from runbook.raft.removal import Refusal
from runbook.signatures import ApprovalDesk, read_allowed_signers
from tests.approvers import NOBODY, Desk, allowed_signers, fingerprint_of, open_desk

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return open_desk(tmp_path)


def test_two_people_agree(desk: Desk) -> None:
    assert desk.code() == "NoApproval"
    desk.ann.sign(desk.plan)
    assert desk.code(count=2) == "TooFewApprovals"
    desk.bob.sign(desk.plan)
    agreed = desk.judge(count=2)
    assert not isinstance(agreed, Refusal)
    assert {(str(one), one.key) for one in agreed} == {(one.name, fingerprint_of(one)) for one in (desk.ann, desk.bob)}


def test_each_refusal_by_a_real_signature(desk: Desk) -> None:
    """A stranger; another file, also where the plan is changed later; too old; oneself."""
    desk.eve.sign(desk.plan)
    assert desk.code() == "UnknownSigner"
    desk.ann.sign(desk.plan, of=b"another plan\n")
    assert desk.code() == "WrongDigest"
    desk.ann.sign(desk.plan, at=datetime.now(timezone.utc) - timedelta(seconds=90))
    assert desk.code() == "ApprovalExpired"
    desk.ann.sign(desk.plan)
    assert desk.code() == "agreed: ann@example.org"
    assert desk.code(executors=Executors(frozenset({"ann"}))) == "ApprovedByOneself"
    assert desk.code(executors=Executors(keys=frozenset({fingerprint_of(desk.ann)}))) == "ApprovedByOneself"
    desk.plan.write_text("a plan that somebody has changed\n", encoding="utf-8")
    assert desk.code() == "WrongDigest"


def by_hand(desk: Desk, text: bytes, *, namespace: str = "runbook-plan") -> bytes:
    """A signature that ``runbook approve`` would not make."""
    command = ["ssh-keygen", "-Y", "sign", "-f", str(desk.ann.key), "-n", namespace]
    return subprocess.run(command, input=text, capture_output=True, check=True, timeout=20).stdout


@pytest.mark.parametrize("forged", ["moment", "digest", "signature of another", "namespace", "bare digest"])
def test_nothing_is_forged(desk: Desk, forged: str) -> None:
    """Each byte of the text is signed, for this one purpose."""
    digest, now = sha256(b"a plan\n").hexdigest(), datetime.now(timezone.utc)
    text = approval_text(digest, now)
    old = approval_text(digest, now - timedelta(days=9))
    data = {
        "moment": text + by_hand(desk, old),
        "digest": text + by_hand(desk, approval_text("0" * 64, now)),
        "signature of another": text + by_hand(desk, b"something else"),
        "namespace": text + by_hand(desk, text, namespace="git"),
        "bare digest": text + by_hand(desk, digest.encode()),
    }[forged]
    desk.beside("ann").write_bytes(text + by_hand(desk, text))
    assert desk.code() == "agreed: ann@example.org"
    desk.beside("ann").write_bytes(data)
    assert desk.code() == "NoApproval"


def huge(path: Path, _good: bytes) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def link(path: Path, good: bytes) -> None:
    (path.parent / "elsewhere").write_bytes(good)
    path.symlink_to(path.parent / "elsewhere")


def cut(path: Path, good: bytes) -> None:
    path.write_bytes(good[: len(good) // 2])


SPOILT: dict[str, Callable[[Path, bytes], object]] = {
    "huge": huge,
    "fifo": lambda path, _good: os.mkfifo(path),
    "symlink": link,
    "truncated": cut,
    "empty": lambda path, _good: path.write_bytes(b""),
    "folder": lambda path, _good: path.mkdir(),
    "noise": lambda path, _good: path.write_bytes(os.urandom(4000)),
}


@pytest.mark.parametrize("how", SPOILT)
def test_what_is_no_approval_is_named_and_hinders_nobody(desk: Desk, how: str) -> None:
    good = desk.ann.sign(desk.plan).read_bytes()
    desk.beside("ann").unlink()
    SPOILT[how](desk.beside("mallory"), good)
    began = time.monotonic()
    refusal = desk.judge()
    assert isinstance(refusal, Refusal)
    assert (refusal.code, "no approval is plan.json.sig.mallory" in refusal.sentence) == ("NoApproval", True), refusal
    desk.bob.sign(desk.plan)
    assert desk.code() == "agreed: bob@example.org"
    assert time.monotonic() - began < 5


def test_a_thousand_files_are_no_flood(desk: Desk) -> None:
    """A hundred are read, in the order of their names."""
    for number in range(1000):
        desk.beside(f"x{number}").write_bytes(b"noise")
    desk.ann.sign(desk.plan)
    desk.beside("hostile\x1b[31m\nname").write_bytes(desk.beside("ann").read_bytes())
    assert desk.code() == "agreed: ann@example.org"
    desk.beside("ann").unlink()
    assert desk.code() == "NoApproval", "a name that could forge a line is no name"


def test_one_signature_under_many_names_is_one_person(desk: Desk) -> None:
    signed = desk.ann.sign(desk.plan)
    for name in ("bob", "cat"):
        desk.beside(name).write_bytes(signed.read_bytes())
    assert desk.code(count=2) == "TooFewApprovals"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("ann@example.org {key}", "agreed: ann@example.org"),
        ("ann@example.org,anna {key}", "agreed: ann@example.org"),
        ('ann@example.org namespaces="runbook-plan" {key}', "agreed: ann@example.org"),
        ('ann@example.org namespaces="git" {key}', "UnknownSigner"),
        ('ann@example.org valid-before="20200101" {key}', "UnknownSigner"),
        ("*@example.org {key}", "UnknownSigner"),
        ("a\x1b[31mnn@example.org {key}", "UnknownSigner"),
        ("-ann {key}", "UnknownSigner"),
        ("ann@example.org ssh-ed25519 AAAA", "UnknownSigner"),
        ("", "UnknownSigner"),
    ],
)
def test_what_the_allowed_signers_may_say(desk: Desk, line: str, code: str) -> None:
    """ssh's own options hold; a pattern names no person, and what could forge a line is no name."""
    desk.ann.sign(desk.plan)
    assert desk.code(lines=line.format(key=desk.ann.public) + "\n") == code


def test_a_key_that_was_taken_out_of_the_list_counts_no_more(desk: Desk) -> None:
    """Also within one wait, which verifies nothing twice."""
    desk.ann.sign(desk.plan)
    signers, moment = allowed_signers(desk.folder, desk.ann), datetime.now(timezone.utc)
    watched, rules = ApprovalDesk(), [ApprovalRule(str(signers))]
    digest = sha256(desk.plan.read_bytes()).hexdigest()
    assert isinstance(watched.judge(rules, desk.plan, digest, NOBODY, moment), tuple)
    allowed_signers(desk.folder, desk.bob)
    assert isinstance(watched.judge(rules, desk.plan, digest, NOBODY, moment), Refusal)


def test_all_rules_must_hold(desk: Desk) -> None:
    """That of the inventory and that of the playbook, each with its own list."""
    (desk.folder / "second").mkdir()
    rules = [
        ApprovalRule(str(allowed_signers(desk.folder, desk.ann))),
        ApprovalRule(str(allowed_signers(desk.folder / "second", desk.bob))),
    ]
    digest, moment = sha256(desk.plan.read_bytes()).hexdigest(), datetime.now(timezone.utc)
    desk.ann.sign(desk.plan)
    refusal = ApprovalDesk().judge(rules, desk.plan, digest, NOBODY, moment)
    assert isinstance(refusal, Refusal)
    assert "second/allowed_signers" in str(refusal)
    desk.bob.sign(desk.plan)
    agreed = ApprovalDesk().judge(rules, desk.plan, digest, NOBODY, moment)
    assert not isinstance(agreed, Refusal)
    assert [str(one) for one in agreed] == ["ann@example.org", "bob@example.org"]


# -- the allowed signers


def open_folder(path: Path) -> None:
    path.write_text("", encoding="utf-8")
    path.parent.chmod(0o777)


def linked(path: Path) -> None:
    (path.parent / "real").write_text("", encoding="utf-8")
    path.symlink_to("real")


def written(mode: int, size: int = 1) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        path.write_bytes(b"#" * size)
        path.chmod(mode)

    return write


UNSAFE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda _path: None, "No such file"),
    "pipe": (os.mkfifo, "not a regular file but a pipe"),
    "folder": (Path.mkdir, "Is a directory"),
    "link": (linked, "not a regular file but a link"),
    "its group may write": (written(0o664), "others than its owner may write"),
    "others may write": (written(0o646), "others than its owner may write"),
    "a folder where others may write": (open_folder, "others may write in"),
    "too long": (written(0o644, 1 << 21), "more than 1024 KiB"),
}


@pytest.mark.parametrize("how", UNSAFE)
def test_a_list_that_others_may_change_is_none(tmp_path: Path, how: str) -> None:
    (tmp_path / "etc").mkdir()
    make, words = UNSAFE[how]
    make(tmp_path / "etc" / "signers")
    with pytest.raises(SettingsError, match=words):
        read_allowed_signers(str(tmp_path / "etc" / "signers"))
