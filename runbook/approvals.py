"""What an approval signs, and whether the approvals of a file are enough. Whose key signed is found out elsewhere.

An approval is a small text with the file's digest and the moment, and an SSH signature of just this text behind it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import shlex
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone

from runbook.dataclass import dataclass
from runbook.playbook.approval_rule import ApprovalRule
from runbook.playbook.types import format_duration
from runbook.raft.removal import Refusal

NAMESPACE = "runbook-plan"  # a signature for anything else, as of a commit, is no approval
LONGEST = 16 * 1024  # bytes of an approval; one by a 16384-bit RSA key or a certificate has far fewer
SKEW = timedelta(minutes=5)  # by which the clock of whoever signed may be ahead
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
"""Of a person: behind ``.sig.``, and in the allowed signers, where a pattern names nobody."""
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----\n", "-----END SSH SIGNATURE-----\n"
_FORM = re.compile(
    r"(runbook approval v1\nsha256 ([0-9a-f]{64})\nat (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\n)"
    rf"{_BEGIN}([A-Za-z0-9+/=\n]+){_END}"
)


def approval_text(digest: str, at: datetime) -> bytes:
    """What is signed: the SHA-256 (hex) of a file, and when, as nobody can put another moment beside the signature."""
    return f"runbook approval v1\nsha256 {digest}\nat {at.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}\n".encode()


@dataclass(frozen=True)
class Approval:
    """What an approval's file says. ``text`` is what was signed, ``armour`` its signature, ``key`` the fingerprint of
    the key that claims to have made it. None of it is proven.
    """

    text: bytes
    armour: bytes
    digest: str
    at: datetime
    key: str


def read_approval(data: bytes) -> Approval | None:
    """None where it has another form. The signature is written anew, so that all who read it read the same."""
    found = _FORM.fullmatch(data.decode("ascii", "replace"))
    if found is None or len(data) > LONGEST:
        return None
    text, digest, moment, encoded = found.groups()
    try:
        at = datetime.strptime(f"{moment}+0000", "%Y-%m-%dT%H:%M:%SZ%z")
        signature = base64.b64decode(encoded.replace("\n", ""), validate=True)
    except (ValueError, binascii.Error):
        return None
    key = _key_of(signature)
    armour = f"{_BEGIN}{base64.encodebytes(signature).decode()}{_END}".encode()
    return Approval(text.encode(), armour, digest, at, fingerprint(key)) if key else None


def _key_of(signature: bytes) -> bytes:
    """The public key in a signature of OpenSSH; nothing where it is none."""
    length = int.from_bytes(signature[10:14], "big")
    key = signature[14 : 14 + length]
    return key if signature[:10] == b"SSHSIG\0\0\0\1" and len(key) == length else b""


def fingerprint(key: bytes) -> str:
    """Of a public key, as ssh-keygen shows it."""
    return f"SHA256:{base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip('=')}"


@dataclass(frozen=True)
class Signature:
    """An approval whose signature is good. ``people`` are the names of its key in the allowed signers; none of a
    stranger's.
    """

    digest: str
    at: datetime
    key: str
    people: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.people[0] if self.people else f"the key {self.key}"


@dataclass(frozen=True)
class Executors:
    """Whoever runs it: the user names of all who did, and the fingerprints of the keys that this user holds."""

    names: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()

    def signed(self, signature: Signature) -> bool:
        """Whether it is one of theirs: by the key, or by the part of a name before the @."""
        names = {name.partition("@")[0].lower() for name in signature.people}
        return signature.key in self.keys or not names.isdisjoint(name.lower() for name in self.names)


@dataclass(frozen=True)
class SignedFile:
    """What lies beside the file that must be signed: ``unusable`` are the names of what is no approval there."""

    path: str
    digest: str
    signatures: Sequence[Signature]
    unusable: Sequence[str] = ()

    @property
    def command(self) -> str:
        """What whoever agrees has to type."""
        return f"runbook approve {shlex.quote(self.path)}"


def judge_approvals(
    rule: ApprovalRule, file: SignedFile, executors: Executors, now: datetime
) -> tuple[Signature, ...] | Refusal:
    """The newest signature of each person who agreed, or why they are not enough."""
    faults = {id(each): _fault_of(each, rule, file, executors, now) for each in file.signatures}
    agreed = one_of_each_person(each for each in file.signatures if faults[id(each)] is None)
    if len(agreed) >= rule.count:
        return agreed
    missing = rule.count - len(agreed)
    many = f"{missing} {'other people' if agreed else 'people'}"
    who = many if missing > 1 else "another person" if agreed or rule.not_self else "a person"
    action = f"Have {who} of {rule.by} run: {file.command}"
    told = sorted((fault for fault in faults.values() if fault is not None), key=lambda fault: ORDER.index(fault[0]))
    not_counted = "".join(f"; {sentence}" for _, sentence in told[:NAMED])
    if (more := len(told) - NAMED) > 0:
        not_counted += f"; {more} more {'do' if more > 1 else 'does'} not count"
    if agreed:
        by = ", ".join(map(str, agreed))
        sentence = f"{len(agreed)} of {rule.count} people have signed {file.path}, by {by}{not_counted}"
        return Refusal("TooFewApprovals", sentence, action)
    of = f"0 of {rule.count} {'people have' if rule.count > 1 else 'person has'} signed {file.path}"
    if told:
        return Refusal(told[0][0], f"{of}{not_counted}", action)
    rest = f" and {len(file.unusable) - NAMED} more" if len(file.unusable) > NAMED else ""
    spoilt = f"; no approval is {', '.join(file.unusable[:NAMED])}{rest}" if file.unusable else ""
    return Refusal("NoApproval", f"{of}{spoilt}", action)


NAMED = 3  # of those that do not count, and of files; the rest are counted
ORDER = ("ApprovedByOneself", "ApprovalExpired", "WrongDigest", "UnknownSigner")
"""The reasons why a signature does not count, the one that is nearest to a good one first."""


def _fault_of(
    signature: Signature, rule: ApprovalRule, file: SignedFile, executors: Executors, now: datetime
) -> tuple[str, str] | None:
    """Why it does not count, as a code and a clause with its numbers."""
    age = now - signature.at
    if not signature.people:
        return "UnknownSigner", f"{signature} is nobody's in {rule.by}"
    if signature.digest != file.digest:
        of = f"{signature.digest[:12]}…, and the digest of this one is {file.digest[:12]}…"
        return "WrongDigest", f"what {signature} signed has the digest {of}"
    if age > timedelta(seconds=rule.within):
        old = f"{format_duration(age // timedelta(seconds=1))} old, and {format_duration(rule.within)} is the most"
        return "ApprovalExpired", f"the signature of {signature} is {old}"
    if -age > SKEW:
        ahead = format_duration(-age // timedelta(seconds=1))
        return "ApprovalExpired", f"the signature of {signature} is from {ahead} after now by this clock"
    if rule.not_self and executors.signed(signature):
        return "ApprovedByOneself", f"{signature} runs it, and so does not count"
    return None


def one_of_each_person(signatures: Iterable[Signature]) -> tuple[Signature, ...]:
    """The newest of each. One person may have several keys, and a key several names: these are all theirs."""
    people: list[tuple[set[str], Signature]] = []
    for each in sorted(signatures, key=lambda signature: signature.at):
        same = [person for person in people if not person[0].isdisjoint((each.key, *each.people))]
        people = [person for person in people if person not in same]
        people.append((set().union((each.key, *each.people), *(names for names, _ in same)), each))
    return tuple(signature for _, signature in people)
