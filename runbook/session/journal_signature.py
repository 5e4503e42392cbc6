"""``journal.sig`` beside a journal: the hash of its last event, signed, so that only the key can write it anew."""

from __future__ import annotations

import re
from pathlib import Path

from runbook.approvals import LONGEST
from runbook.dataclass import dataclass
from runbook.errors import SettingsError, StepError
from runbook.files import read_limited, replace_file
from runbook.journal.store import Record

SIGNATURE = "journal.sig"
NAMESPACE = "runbook-journal"  # a signature for anything else, as of a plan, is none of a journal
UNSIGNED, STRANGER, OLDER, BAD, GOOD = "unsigned", "stranger", "older", "bad", "good"
_FORM = re.compile(
    rb"(runbook journal v1\nrun [^\n]{1,300}\nhead ([0-9a-f]{64})\n)"
    rb"(-----BEGIN SSH SIGNATURE-----\n[A-Za-z0-9+/=\n]+-----END SSH SIGNATURE-----\n)"
)


@dataclass(frozen=True)
class Signed:
    """What its signature is worth: one of the words above, and a sentence."""

    worth: str
    sentence: str


def sign_journal(folder: Path, head: str, key: str) -> str:
    """Sign it by this key. Returns why it is not signed: the run has ended, and that stands."""
    from runbook.signatures import sign_text

    text = _text(folder.name, head)
    try:
        replace_file(folder / SIGNATURE, text + sign_text(text, key, NAMESPACE))
    except (SettingsError, StepError) as error:
        return str(error)
    except OSError as error:
        return f"{folder / SIGNATURE}: {error.strerror}"
    return ""


def verify_signature(folder: Path, record: Record, signers: str, name: str | None) -> Signed:
    """By the file of allowed signers, and by this one of them where a ``name`` is given.

    Raises SettingsError where that file is not safe, and StepError where ssh-keygen cannot be run.
    """
    from runbook.signatures import people_who_signed, read_allowed_signers

    allowed = read_allowed_signers(signers)
    try:
        data = read_limited(folder / SIGNATURE, LONGEST)
    except FileNotFoundError:
        return Signed(UNSIGNED, f"there is no {SIGNATURE}: nobody signed it, or the signature was taken away")
    except OSError as error:
        return Signed(BAD, f"{SIGNATURE} cannot be read: {error.strerror}")
    found = _FORM.fullmatch(data)
    if found is None or found[1] != _text(folder.name, found[2].decode()):
        return Signed(BAD, f"{SIGNATURE} is no signature of the journal of this run")
    people = people_who_signed(found[1], found[3], allowed, NAMESPACE)
    if people is None:
        return Signed(BAD, f"{SIGNATURE} was changed: the key did not sign that text")
    if not people or (name is not None and name not in people):
        who = (
            f"{people[0]}, not {name}"
            if people
            else f"a key that {signers} does not know, or does not allow now and for a journal"
        )
        return Signed(STRANGER, f"signed by {who}")
    who, head = name or people[0], found[2].decode()
    if head not in record.hashes:
        return Signed(BAD, f"{who} signed a head that no event has: it was cut off, or all was written anew")
    later = len(record.hashes) - 1 - record.hashes.index(head)
    if later:
        return Signed(OLDER, f"{who} signed event {len(record.hashes) - later}; the {later} that follow are not signed")
    return Signed(GOOD, f"{who} signed the head: nobody without that key has changed or added an event")


def _text(run: str, head: str) -> bytes:
    return f"runbook journal v1\nrun {run}\nhead {head}\n".encode()
