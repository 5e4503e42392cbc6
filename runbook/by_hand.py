"""What a person does where the program does not: sentences and commands to paste, as plain values.

A value that is known only live stands in angle brackets; a secret is the name of a variable of the shell, and never
its value.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from runbook.dataclass import dataclass
from runbook.playbook.types import format_duration, is_number
from runbook.printable import printable, printable_line

_SECRET = re.compile("\ue000([A-Za-z_][A-Za-z0-9_]*)\ue001")


@dataclass(frozen=True)
class Instruction:
    """A sentence, and below it the lines for a shell. Either may be empty."""

    text: str
    shell: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListedServer:
    """One server of the configuration, as the run has met it."""

    id: str
    name: str
    address: str


@dataclass(frozen=True)
class HandView:
    """What is known of the cluster: nothing but its product, before anybody has looked.

    ``door`` is the address of a server that answered. ``proven`` are the ids of the servers that were judged dead with
    quorum proven, ``gone`` those that were removed, ``unsettled`` those whose removal was
    asked for, and nobody saw what became of it; ``looked``: somebody has looked. ``folder`` is that of the run.
    """

    kind: str
    door: str = ""
    servers: Mapping[str, ListedServer] = field(default_factory=dict)
    proven: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    unsettled: frozenset[str] = frozenset()
    looked: bool = False
    folder: str = ""


@dataclass(frozen=True)
class HandStep:
    """One step that is left, or as it would be done: its place and type, what was found by it, and what to do."""

    place: str
    uses: str
    instructions: tuple[Instruction, ...]
    seen: str = ""


@dataclass(frozen=True)
class HandPlan:
    """All that is to be done by hand, in its order; or why nothing is.

    ``origin`` says when and on what it was made. ``refusal`` stands in the place of everything that changes something.
    ``door`` are the lines that name the cluster to a shell. ``done`` are the places of what is over.
    """

    title: str
    origin: tuple[str, ...]
    refusal: str = ""
    door: tuple[Instruction, ...] = ()
    steps: tuple[HandStep, ...] = ()
    done: tuple[str, ...] = ()


def placeholder(what: str) -> str:
    """For a value that is known only live."""
    return f"<{printable_line(what)}>"


def secret_mark(variable: str) -> str:
    """Stands for a secret in a value, until it is written for a shell or a person."""
    return f"\ue000{variable}\ue001"


def in_words(value: Any) -> str:
    """A value in a sentence, its secrets as the names of their variables."""
    return "".join(f"${part}" if secret else printable_line(part) for part, secret in _parts(value))


def _parts(value: Any) -> Iterator[tuple[str, bool]]:
    """The text between the secrets, and the variables of these, each with whether it is one."""
    for number, part in enumerate(_SECRET.split(str(value))):
        yield part, number % 2 == 1


def duration_in_words(value: Any) -> str:
    """Seconds as a playbook writes them."""
    return format_duration(value) if is_number(value) else in_words(value)


def shell_word(value: Any) -> str:
    """One word for a shell: nothing in it is read by the shell but the variables of its secrets."""
    parts = list(_parts(value))
    if len(parts) == 1:
        return shlex.quote(printable(parts[0][0]))
    quoted = (f"${{{part}}}" if secret else re.sub(r'([\\$`"])', r"\\\1", printable(part)) for part, secret in parts)
    return f'"{"".join(quoted)}"'


def shell_words(words: Any) -> str:
    """A whole command; one word where it is not known how many it has."""
    return " ".join(map(shell_word, words)) if isinstance(words, list | tuple) else shell_word(words)


def shell_text(text: Any) -> str:
    """A line for a shell as the playbook has it."""
    return "".join(f"${{{part}}}" if secret else printable(part) for part, secret in _parts(text))
