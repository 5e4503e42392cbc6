"""Reads ``secrets:``, where a playbook names what it needs and never holds it."""

from __future__ import annotations

import re

from runbook.playbook.declare import identifier_fault
from runbook.playbook.faults import Faults, did_you_mean, quoted
from runbook.playbook.model import Mark, Secret
from runbook.playbook.nodes import MapNode, Node, Scalar, kind

MAX_REFERENCE = 1000
"""Characters. Longer than any path or command line that a person would want to read."""

FORMS = {
    "env": "env:NAME, the name of an environment variable",
    "file": "file:/PATH, the absolute path of a file",
    "exec": "exec:COMMAND ARGUMENT…, a command that prints it",
    "vault": "vault:PATH#FIELD",
}
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_VAULT = re.compile(r"(?P<path>[^#\s]+)#(?P<field>[^#\s]+)")
_HOME_OR_ROOT = ("/", "~/")


def read_secrets(node: Node | None, faults: Faults) -> tuple[tuple[Secret, ...], dict[str, Mark]]:
    """The references that can be read, and where each name is declared; no text of a wrong one is told (I13)."""
    if node is None:
        return (), {}
    if not isinstance(node, MapNode):
        faults.add(node.mark, f'"secrets" must be a mapping of names, not {kind(node)}')
        return (), {}
    found = []
    for name, (key, value) in node.entries.items():
        fault = identifier_fault(name, "the name of a secret")
        if fault:
            faults.add(key.mark, *fault)
        secret = _read_secret(name, value, faults)
        if secret:
            found.append(secret)
    return tuple(found), {name: key.mark for name, (key, _) in node.entries.items()}


def _read_secret(name: str, node: Node, faults: Faults) -> Secret | None:
    what = f"secret {quoted(name)}"
    text = node.value if isinstance(node, Scalar) and node.sound else None
    source, colon, rest = text.partition(":") if isinstance(text, str) else ("", "", "")
    target = _TARGETS[source](rest) if source in FORMS and colon and len(rest) <= MAX_REFERENCE else None
    if target is not None:
        return Secret(name, source, target, node.mark)
    faults.conceal(node.mark)
    if colon and source in FORMS:
        faults.add(node.mark, f"{what} is not a reference of the form {FORMS[source]}")
    else:
        meant = did_you_mean(source, FORMS) if colon and len(source) <= 8 else None
        told = f"{what} must be a reference, such as env:TOKEN, and never the secret itself"
        faults.add(node.mark, told, meant or _all_forms())
    return None


def _all_forms() -> str:
    return f"Write {'; '.join(FORMS.values())}."


def _variable(text: str) -> tuple[str, ...] | None:
    return (text,) if _ENV.fullmatch(text) else None


def _file(text: str) -> tuple[str, ...] | None:
    """Absolute, as nobody knows in which folder a run at 3 a.m. is started."""
    return (text,) if text.startswith(_HOME_OR_ROOT) and text.isprintable() else None


def _command(text: str) -> tuple[str, ...] | None:
    import shlex

    try:
        words = shlex.split(text)
    except ValueError:
        return None
    return tuple(words) if words and words[0] else None


def _in_vault(text: str) -> tuple[str, ...] | None:
    match = _VAULT.fullmatch(text)
    return (match["path"], match["field"]) if match else None


_TARGETS = {"env": _variable, "file": _file, "exec": _command, "vault": _in_vault}
