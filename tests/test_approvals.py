"""Approvals as values: what counts, what does not, and each of the six refusals with its numbers and its command."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta, timezone

import pytest

from runbook.approvals import (
    LONGEST,
    Executors,
    Signature,
    SignedFile,
    approval_text,
    fingerprint,
    judge_approvals,
    read_approval,
)
from runbook.playbook.approval_rule import ApprovalRule
from runbook.raft.removal import Refusal

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=timezone.utc)
GOOD, OTHER = "a" * 64, "b" * 64
COMMAND = "run: runbook approve '/state/a plan.txt'"
EVE = "SHA256:eve"


def signature(
    who: str, hours: float = 1.0, *, digest: str = GOOD, key: str = "", also: tuple[str, ...] = ()
) -> Signature:
    people = (f"{who}@example.org", *also) if who else ()
    return Signature(digest, NOW - timedelta(hours=hours), key or f"SHA256:{who or 'nobody'}", people)


ANN, BOB = signature("ann"), signature("bob")
SELF = Executors(frozenset({"eve", "root"}), frozenset({EVE}))


def judge(
    *signatures: Signature, count: int = 1, not_self: bool = True, unusable: tuple[str, ...] = ()
) -> tuple[Signature, ...] | Refusal:
    rule = ApprovalRule("/etc/signers", count, not_self)
    return judge_approvals(rule, SignedFile("/state/a plan.txt", GOOD, signatures, unusable), SELF, NOW)


AGREED = {
    "one of one": (judge(ANN), {"ann"}),
    "two of two": (judge(ANN, BOB, count=2), {"ann", "bob"}),
    "more than needed": (judge(ANN, BOB), {"ann", "bob"}),
    "as old as it may be": (judge(signature("ann", 24)), {"ann"}),
    "a clock that is a little ahead": (judge(signature("ann", -0.05)), {"ann"}),
    "beside those that do not count": (judge(ANN, signature(""), signature("bob", digest=OTHER)), {"ann"}),
    "oneself, where that may be": (judge(signature("eve"), not_self=False), {"eve"}),
}


@pytest.mark.parametrize("case", AGREED)
def test_who_agreed(case: str) -> None:
    agreed, names = AGREED[case]
    assert not isinstance(agreed, Refusal), agreed
    assert {str(one).partition("@")[0] for one in agreed} == names


REFUSED = {
    "nobody": (
        judge(count=2),
        "NoApproval",
        f"0 of 2 people have signed /state/a plan.txt. Have 2 people of /etc/signers {COMMAND}",
    ),
    "what is no approval": (
        judge(unusable=("a plan.txt.sig.x",)),
        "NoApproval",
        "0 of 1 person has signed /state/a plan.txt; no approval is a plan.txt.sig.x. "
        f"Have another person of /etc/signers {COMMAND}",
    ),
    "much that is no approval": (judge(unusable=tuple("abcde")), "NoApproval", "; no approval is a, b, c and 2 more. "),
    "too few": (
        judge(ANN, count=3),
        "TooFewApprovals",
        "1 of 3 people have signed /state/a plan.txt, by ann@example.org. "
        f"Have 2 other people of /etc/signers {COMMAND}",
    ),
    "too few, and why": (
        judge(ANN, signature("bob", 30), count=2),
        "TooFewApprovals",
        "1 of 2 people have signed /state/a plan.txt, by ann@example.org; the signature of bob@example.org is "
        f"1d6h old, and 1d is the most. Have another person of /etc/signers {COMMAND}",
    ),
    "too old": (
        judge(signature("ann", 24.01)),
        "ApprovalExpired",
        "0 of 1 person has signed /state/a plan.txt; the signature of ann@example.org is 1d36s old, and 1d is the "
        f"most. Have another person of /etc/signers {COMMAND}",
    ),
    "from a time to come": (
        judge(signature("ann", -2)),
        "ApprovalExpired",
        "0 of 1 person has signed /state/a plan.txt; the signature of ann@example.org is from 2h after now by this "
        f"clock. Have another person of /etc/signers {COMMAND}",
    ),
    "oneself": (
        judge(signature("Eve")),
        "ApprovedByOneself",
        "0 of 1 person has signed /state/a plan.txt; Eve@example.org runs it, and so does not count. "
        f"Have another person of /etc/signers {COMMAND}",
    ),
    "oneself by one's key": (judge(signature("ops", key=EVE)), "ApprovedByOneself", "ops@example.org runs it"),
    "oneself by another name of one's key": (
        judge(signature("ops", also=("eve",))),
        "ApprovedByOneself",
        "ops@example.org runs it",
    ),
    "a stranger": (
        judge(signature("", key="SHA256:x")),
        "UnknownSigner",
        "0 of 1 person has signed /state/a plan.txt; the key SHA256:x is nobody's in /etc/signers. "
        f"Have another person of /etc/signers {COMMAND}",
    ),
    "another file": (
        judge(signature("ann", digest=OTHER)),
        "WrongDigest",
        "0 of 1 person has signed /state/a plan.txt; what ann@example.org signed has the digest bbbbbbbbbbbb…, and "
        f"the digest of this one is aaaaaaaaaaaa…. Have another person of /etc/signers {COMMAND}",
    ),
    "the nearest reason first": (
        judge(signature(""), signature("bob", digest=OTHER), signature("cat", 99), signature("eve")),
        "ApprovedByOneself",
        "; 1 more does not count. Have ",
    ),
    "one person with two keys": (judge(ANN, signature("ann", 2, key="SHA256:2"), count=2), "TooFewApprovals", "1 of 2"),
    "one key with two names": (
        judge(ANN, signature("bob", key=ANN.key), count=2),
        "TooFewApprovals",
        "1 of 2",
    ),
    "one person of three names": (
        judge(signature("a"), signature("b", key="k1", also=("c",)), signature("a", key="k2", also=("c",)), count=2),
        "TooFewApprovals",
        "1 of 2",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str) -> None:
    """One sentence with the numbers, then the command that somebody has to type."""
    refusal, code, words = REFUSED[case]
    assert isinstance(refusal, Refusal), refusal
    assert (refusal.code, words in str(refusal)) == (code, True), str(refusal)


def armour(blob: bytes) -> bytes:
    return b"-----BEGIN SSH SIGNATURE-----\n" + base64.encodebytes(blob) + b"-----END SSH SIGNATURE-----\n"


KEY = b"SSHSIG\0\0\0\1\0\0\0\3key"
TEXT = approval_text(GOOD, NOW)
WHOLE = TEXT + armour(KEY + b"the rest")


def test_what_is_signed_is_read_back() -> None:
    """The digest, the moment in UTC, and the key by its fingerprint."""
    assert f"runbook approval v1\nsha256 {GOOD}\nat 2026-11-20T03:00:00Z\n".encode() == TEXT
    found = read_approval(WHOLE)
    assert found is not None
    assert (found.text, found.digest, found.at) == (TEXT, GOOD, NOW)
    assert found.key == fingerprint(b"key")
    assert approval_text(GOOD, NOW.astimezone(timezone(timedelta(hours=5)))) == TEXT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        TEXT,
        WHOLE[:-1],
        WHOLE + b"\n",
        b"\n" + WHOLE,
        WHOLE.replace(b"v1", b"v2"),
        WHOLE.replace(b"2026-11-20", b"2026-13-20"),
        WHOLE.replace(b"\nat ", b"\r\nat "),
        WHOLE.replace(GOOD.encode(), GOOD.upper().encode()),
        WHOLE.replace(b"\nat ", b"\nsha256 " + OTHER.encode() + b"\nat "),
        TEXT + armour(b"SSHSIG\0\0\0\2\0\0\0\3key"),
        TEXT + armour(b"SSHSIG\0\0\0\1\0\0\0\4key"),
        TEXT + armour(b"SSHSIG\0\0\0\1"),
        TEXT + b"-----BEGIN SSH SIGNATURE-----\n===\n-----END SSH SIGNATURE-----\n",
        TEXT + armour(KEY + b"x" * LONGEST),
        "runbook approval v1\nsha256 \u0661".encode() + WHOLE[28:],
        b"\xff\xfe" + WHOLE,
    ],
)
def test_what_is_no_approval(data: bytes) -> None:
    """One form, to the byte: what could be read in two ways is not read."""
    assert read_approval(data) is None
