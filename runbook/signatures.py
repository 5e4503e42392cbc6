"""The door to ssh-keygen: approvals are signed and verified by it, offline; whose they are is a file's word alone.

Whoever may write beside a plan may put anything there: each file is read with a limit, a pipe or a link is passed over,
and what is verified is a copy that nobody else can change meanwhile.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import pwd
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from heapq import nsmallest
from itertools import islice, product
from pathlib import Path
from typing import IO

from runbook.approvals import (
    LONGEST,
    NAME,
    NAMESPACE,
    Executors,
    Signature,
    SignedFile,
    approval_text,
    fingerprint,
    judge_approvals,
    read_approval,
)
from runbook.doors import Purpose
from runbook.errors import SettingsError, StepError, unexpected
from runbook.files import open_regular, replace_file
from runbook.hosts.process import Command, Ended, run_command, small_environment
from runbook.playbook.approval_rule import ApprovalRule
from runbook.raft.removal import Refusal
from runbook.text import last_line

VERIFY_WITHIN = 10.0  # seconds for one program that only computes
SIGN_WITHIN = 60.0  # seconds; a key in hardware waits for a touch
LONGEST_LIST = 1024 * 1024  # bytes of allowed signers, and of a public key
MOST = 100  # approvals beside one file, and keys of one person
NAMES_OF_A_KEY = 8
WRITABLE = stat.S_IWGRP | stat.S_IWOTH
KEYS = ("id_ed25519", "id_ed25519_sk", "id_ecdsa", "id_ecdsa_sk", "id_rsa")


# -- the allowed signers


def read_allowed_signers(path: str) -> bytes:
    """Raises SettingsError where it is not a regular file, or where somebody but its owner may put another name in."""
    advice = f"Run: chown root {path} && chmod 644 {path}; its folders must be as safe"
    try:
        with _opened(Path(path)) as file:
            mode, data = os.fstat(file.fileno()).st_mode, file.read(LONGEST_LIST + 1)
        around = {*Path(path).parents, *Path(path).resolve().parents}  # also where a link lies that leads there
        folders = sorted(folder for folder in around if _is_open_to_others(folder))
    except OSError as error:
        what = f"the allowed signers {path} cannot be read: {error.strerror}"
        raise SettingsError(what, "Name a regular file, under approve: by or with --signers") from None
    if mode & WRITABLE:
        raise SettingsError(f"others than its owner may write {path}, the allowed signers", advice)
    if folders:
        raise SettingsError(f"others may write in {folders[0]}, where the allowed signers {path} are", advice)
    if len(data) > LONGEST_LIST:
        raise SettingsError(f"the allowed signers {path} have more than {LONGEST_LIST // 1024} KiB")
    return data


def _opened(path: Path) -> IO[bytes]:
    """For reading. Raises OSError, at once, where no regular file stands there itself."""
    return os.fdopen(open_regular(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")


def _is_open_to_others(folder: Path) -> bool:
    """Whether somebody else may put another file in the place of one that is there. Raises OSError."""
    mode = folder.stat().st_mode
    return bool(mode & WRITABLE) and not mode & stat.S_ISVTX


# -- verifying


class ApprovalDesk:
    """Looks for the approvals of files. What it verified the last time it does not verify again."""

    def __init__(self, folder: Path | None = None) -> None:
        """What it hands to ssh-keygen lies in a new folder in this one, for a moment; in the system's, without one."""
        self._folder = folder
        self._verified: dict[tuple[bytes, bytes], Signature | None] = {}  # by what a file holds, and the signers

    def judge(
        self, rules: Sequence[ApprovalRule], path: Path, digest: str, executors: Executors, now: datetime
    ) -> tuple[Signature, ...] | Refusal:
        """The signatures by which all of the rules hold, or the first reason against it.

        Raises SettingsError where a rule's file is not safe, and StepError where ssh-keygen cannot be run.
        """
        agreed: list[Signature] = []
        lists, beside = [read_allowed_signers(rule.by) for rule in rules], list(_files_beside(path))
        self._verified = {
            each: self._verified[each] if each in self._verified else _verify(*each, self._folder)
            for each in product((data for _, data in beside), lists)
        }  # and no more than these, as whoever may write there may write another file each second
        for rule, signers in zip(rules, lists, strict=True):
            read = [(name, self._verified[data, signers]) for name, data in beside]
            found = [signature for _, signature in read if signature is not None]
            unusable = [name for name, signature in read if signature is None]
            judged = judge_approvals(rule, SignedFile(str(path), digest, found, unusable), executors, now)
            if isinstance(judged, Refusal):
                return judged
            agreed += [each for each in judged if each not in agreed]
        return tuple(agreed)


def _files_beside(path: Path) -> Iterator[tuple[str, bytes]]:
    """Each approval of this file by its name; nothing in it where it is none that may be read."""
    prefix = f"{path.name}.sig."
    try:
        with os.scandir(path.parent) as entries:
            names = (entry.name for entry in entries if entry.name.startswith(prefix))
            named = nsmallest(MOST, (name for name in names if NAME.fullmatch(name.removeprefix(prefix))))
    except OSError:
        named = []
    for name in named:
        data = b""
        with contextlib.suppress(OSError), _opened(path.parent / name) as file:
            data = file.read(LONGEST + 1)
        yield name, data


def _verify(data: bytes, signers: bytes, within: Path | None) -> Signature | None:
    """None where it is no approval, or the signature is not of that text. Raises StepError."""
    approval = read_approval(data)
    if approval is None:
        return None
    people = people_who_signed(approval.text, approval.armour, signers, NAMESPACE, within)
    return None if people is None else Signature(approval.digest, approval.at, approval.key, people)


def people_who_signed(
    text: bytes, armour: bytes, signers: bytes, namespace: str, within: Path | None = None
) -> tuple[str, ...] | None:
    """The names of the key in the allowed signers, none of a stranger's; None where it did not sign that text.

    Raises StepError where ssh-keygen cannot be run.
    """
    with tempfile.TemporaryDirectory(prefix="runbook-signature-", dir=within) as folder:
        mine, allowed = f"{folder}/text.sig", f"{folder}/allowed_signers"
        replace_file(Path(mine), armour)
        replace_file(Path(allowed), signers)
        about = ("-n", namespace, "-s", mine)
        if _ssh_keygen("check-novalidate", *about, given=text).code != 0:
            return None
        told = _ssh_keygen("find-principals", "-s", mine, "-f", allowed).stdout.splitlines()
        names = [name for name in told if NAME.fullmatch(name)][:NAMES_OF_A_KEY]
        return tuple(
            name for name in names if _ssh_keygen("verify", *about, "-f", allowed, "-I", name, given=text).code == 0
        )


def _ssh_keygen(what: str, *words: str, given: bytes = b"") -> Ended:
    command = Command(("ssh-keygen", "-Y", what, *words), small_environment({}), given=given, purpose=Purpose.LOOK)
    ended = run_command(command, VERIFY_WITHIN)
    if ended.code is None:
        raise unexpected(f"ssh-keygen -Y {what} did not end within {VERIFY_WITHIN:g} s", "Is this host overloaded?")
    return ended


# -- who runs it


def executors_here(environment: Mapping[str, str], also: str = "") -> Executors:
    """This process's user, whoever is behind its sudo, and the user ``also``, who began the run."""
    names = {also, environment.get("SUDO_USER", ""), environment.get("LOGNAME", "")}
    homes = {Path(environment.get("HOME", "/nonexistent"))}
    with contextlib.suppress(KeyError):  # a container may have no name for its user
        names.add(pwd.getpwuid(os.getuid()).pw_name)
    for name in names:
        with contextlib.suppress(KeyError):
            homes.add(Path(pwd.getpwnam(name).pw_dir))
    keys = [*_keys_of_the_agent(), *(line for home in homes for line in _public_keys_in(home / ".ssh"))]
    return Executors(frozenset(names - {""}), frozenset(filter(None, map(_fingerprint_of, keys))))


def _keys_of_the_agent() -> list[str]:
    """Public keys, a line each; none without an agent."""
    if "SSH_AUTH_SOCK" not in os.environ:
        return []
    command = Command(("ssh-add", "-L"), small_environment({}, "SSH_AUTH_SOCK"), purpose=Purpose.LOOK)
    try:
        ended = run_command(command, VERIFY_WITHIN)
    except StepError:  # there is no such program here
        return []
    return ended.stdout.splitlines()[:MOST] if ended.code == 0 else []


def _public_keys_in(folder: Path) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for path in islice(folder.glob("*.pub"), MOST):
            with contextlib.suppress(OSError), os.fdopen(open_regular(path), "rb") as file:
                yield file.read(LONGEST).decode("ascii", "replace")


def _fingerprint_of(line: str) -> str:
    try:
        return fingerprint(base64.b64decode(line.split()[1], validate=True))
    except (IndexError, ValueError, binascii.Error):
        return ""


# -- signing


def sign_approval(digest: str, at: datetime, key: str | None, home: Path) -> bytes:
    """The approval of the file with this SHA-256 (hex), by this key: a private key's file, or a public one whose other
    half an agent holds. Without one it is the usual key of this user, else the only one of the agent.

    Raises SettingsError where there is no such key, or it does not sign.
    """
    text = approval_text(digest, at)
    with tempfile.TemporaryDirectory(prefix="runbook-approval-") as folder:
        path = key or _usual_key(home, Path(folder) / "agent.pub")
        return text + sign_text(text, path, NAMESPACE)


def sign_text(text: bytes, key: str, namespace: str) -> bytes:
    """The armoured signature of it by this key. Raises SettingsError where there is none, and StepError."""
    command = ("ssh-keygen", "-Y", "sign", "-f", key, "-n", namespace)
    ended = run_command(Command(command, small_environment({}, "SSH_AUTH_SOCK"), given=text), SIGN_WITHIN)
    if ended.code != 0 or "SSH SIGNATURE" not in ended.stdout:
        why = "its time was over" if ended.code is None else last_line(ended.stderr) or f"it ended with {ended.code}"
        advice = f"A key with a passphrase signs by an agent: ssh-add {key}; or name another one"
        raise SettingsError(f"ssh-keygen made no signature by {key}: {why}", advice)
    return ended.stdout.encode()


def _usual_key(home: Path, new: Path) -> str:
    for name in KEYS:
        for path in (home / ".ssh" / name, home / ".ssh" / f"{name}.pub"):
            if path.is_file():
                return str(path)
    held = _keys_of_the_agent()
    if len(held) != 1:
        sentence = f"there is no usual key in {home / '.ssh'}, and the agent holds {len(held)}"
        raise SettingsError(sentence, "Name a key, or the public half of one that the agent holds: --key PATH")
    replace_file(new, f"{held[0]}\n".encode())
    return str(new)
