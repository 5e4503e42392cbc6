"""Reads what a playbook declares before its steps: ``params:``, which the command line may give it, and ``secrets:``,
which it names and never holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from runbook.errors import Mark
from runbook.playbook.diagnostics import Diagnostics, did_you_mean, quoted
from runbook.playbook.mapping import Keys, MappingReader, read_literal
from runbook.playbook.model import Field, Secret
from runbook.playbook.types import NUMBERS
from runbook.playbook.yaml_tree import MapNode, Node, Scalar, describe_node

MAX_PARAMS = 500
"""Of one playbook: each may have a pattern, which takes a millisecond to read."""
MAX_REFERENCE = 1000
"""Characters of a secret's reference. Longer than any path or command line that a person would want to read."""
PARAM_TYPES = ("string", "int", "float", "bool", "duration", "enum", "list", "map", "url", "path")
PARAM_KEYS = Keys(
    Field("type", "enum", f"one of {', '.join(PARAM_TYPES)}", required=True, choices=PARAM_TYPES),
    Field("summary", "string", "what it is, for a person", default=""),
    Field("default", "any", "its value where none is given"),
    Field("required", "bool", "whether it must be given"),
    Field("choices", "list", "the values it may have"),
    Field("min", "any", "the smallest value it may have"),
    Field("max", "any", "the largest value it may have"),
    Field("pattern", "string", "what the whole of a text must look like, such as [a-z0-9-]+"),
)
WITH_CHOICES = frozenset({"string", "enum", "int", "float"})
WITH_PATTERN = frozenset({"string", "url", "path"})
SECRET_FORMS = {
    "env": "env:NAME, the name of an environment variable",
    "file": "file:/PATH, the absolute path of a file",
    "exec": "exec:COMMAND ARGUMENT…, a command that prints it",
    "vault": "vault:PATH#FIELD",
}
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_VAULT = re.compile(r"(?P<path>[^#\s]+)#(?P<field>[^#\s]+)")


def identifier_error(name: str, what: str) -> tuple[str, str | None] | None:
    """Why ``name`` cannot stand in an expression, and a name that can; nothing where it can."""
    from keyword import iskeyword

    if iskeyword(name):
        return f"{quoted(name)} cannot be {what}: it is a word of the expression language", None
    if _IDENTIFIER.fullmatch(name):
        return None
    better = re.sub(r"[-. ]+", "_", name)
    rule = "it needs letters, digits and _, a digit not first, 64 at most"
    suggestion = f"Did you mean {quoted(better)}?" if _IDENTIFIER.fullmatch(better) else None
    return f"{quoted(name)} cannot be {what}: {rule}", suggestion


def read_params(node: Node | None, diagnostics: Diagnostics) -> tuple[dict[str, Field], dict[str, Mark]]:
    """The params by name, and where each is declared."""
    if node is None:
        return {}, {}
    if not isinstance(node, MapNode):
        diagnostics.add(node.mark, f'"params" must be a mapping of names, not {describe_node(node)}')
        return {}, {}
    if len(node.entries) > MAX_PARAMS:
        diagnostics.fail(node.mark, f'"params" holds {len(node.entries):,} names; a playbook may have {MAX_PARAMS}')
    params: dict[str, Field] = {}
    upper: dict[str, str] = {}
    for name, (key, value) in node.entries.items():
        error = identifier_error(name, "the name of a param")
        if error:
            diagnostics.add(key.mark, *error)
        if name.upper() in upper:
            pair = f"params {quoted(upper[name.upper()])} and {quoted(name)}"
            message = f"{pair} differ only in upper and lower case, which an environment variable cannot tell"
            diagnostics.add(key.mark, message)
        upper[name.upper()] = name
        params[name] = _read_param(name, value, diagnostics)
    return params, {name: key.mark for name, (key, _) in node.entries.items()}


def _read_param(name: str, node: Node, diagnostics: Diagnostics) -> Field:
    if not isinstance(node, MapNode):
        message = f"param {quoted(name)} must be a mapping with a type, not {describe_node(node)}"
        diagnostics.add(node.mark, message, f"Write {name}: {{ type: string, default: … }}.")
        return Field(name, "any", "")
    mapping = MappingReader(node, f"param {quoted(name)}", PARAM_KEYS, diagnostics)
    param = Field(name, mapping.value("type") or "any", mapping.value("summary") or "")
    param = _with_choices(param, mapping, diagnostics)
    param = _with_bounds(param, mapping)
    param = _with_pattern(param, mapping)
    return _with_default(param, mapping)


def _with_choices(param: Field, mapping: MappingReader, diagnostics: Diagnostics) -> Field:
    node = mapping.get("choices")
    if node is None:
        if param.type == "enum":
            mapping.report("type", 'is "enum", which needs "choices"', "Add choices: [a, b].")
        return param
    choices = mapping.value("choices")
    if param.type not in (*WITH_CHOICES, "any"):
        mapping.report("choices", f"does not apply to the type {param.type}")
    elif choices == []:
        mapping.report("choices", "must hold at least one value")
    elif choices and not isinstance(node, MapNode):
        of_param = Field(param.name, param.type, "")
        label = f"a choice of param {quoted(param.name)}"
        fitting = [read_literal(item, of_param, label, diagnostics) for item in getattr(node, "items", ())]
        return replace(param, choices=tuple(fitting)) if None not in fitting else param
    return param


def _with_bounds(param: Field, mapping: MappingReader) -> Field:
    bounds: dict[str, Any] = {}
    for name in ("min", "max"):
        if mapping.get(name) is None:
            continue
        if param.type not in (*NUMBERS, "any"):
            mapping.report(name, f"does not apply to the type {param.type}")
        elif param.type != "any":
            bounds[name] = mapping.value(name, Field(name, param.type, ""))
    low, high = bounds.get("min"), bounds.get("max")
    if low is not None and high is not None and low > high:
        mapping.report("min", 'is larger than "max"; no value would fit')
        return param
    return replace(param, min=low, max=high)


def _with_pattern(param: Field, mapping: MappingReader) -> Field:
    written = mapping.value("pattern")
    if written is None:
        return param
    if param.type not in (*WITH_PATTERN, "any"):
        mapping.report("pattern", f"does not apply to the type {param.type}")
        return param
    from runbook.playbook.patterns import compile_pattern

    try:
        compile_pattern(written)
    except ValueError as error:
        mapping.report("pattern", f"cannot be used: {error}")
        return param
    return replace(param, pattern=written) if param.type in WITH_PATTERN else param


def _with_default(param: Field, mapping: MappingReader) -> Field:
    """A param without a default must be given, unless it says ``required: false``: then it may be null."""
    required = mapping.value("required")
    if mapping.get("default") is None:
        return replace(param, required=required is not False)
    if required:
        message = "contradicts its default: a param with a default need not be given"
        mapping.report("required", message, "Take one out.")
    return replace(param, default=mapping.value("default", param))


def read_secrets(node: Node | None, diagnostics: Diagnostics) -> tuple[tuple[Secret, ...], dict[str, Mark]]:
    """The references that can be read, and where each name is declared. No text of a wrong one is shown (I13)."""
    if node is None:
        return (), {}
    if not isinstance(node, MapNode):
        diagnostics.add(node.mark, f'"secrets" must be a mapping of names, not {describe_node(node)}')
        return (), {}
    found = []
    for name, (key, value) in node.entries.items():
        error = identifier_error(name, "the name of a secret")
        if error:
            diagnostics.add(key.mark, *error)
        secret = read_secret(name, f"secret {quoted(name)}", value, diagnostics)
        if secret:
            found.append(secret)
    return tuple(found), {name: key.mark for name, (key, _) in node.entries.items()}


def read_secret(name: str, label: str, node: Node, diagnostics: Diagnostics) -> Secret | None:
    """The reference at ``node``, called ``name`` where it cannot be fetched; None where it is none, which is reported.

    ``label`` says in errors what stands there. Nothing of a wrong one is shown, as it may be the secret itself (I13).
    """
    text = node.value if isinstance(node, Scalar) and node.valid else None
    source, colon, rest = text.partition(":") if isinstance(text, str) else ("", "", "")
    known = bool(colon) and source in SECRET_FORMS
    target = _TARGETS[source](rest) if known and len(rest) <= MAX_REFERENCE else None
    if target is not None:
        return Secret(name, source, target, node.mark)
    diagnostics.hide_line(node.mark)
    if known:
        message = f"{label} is not a reference of the form {SECRET_FORMS[source]}"
        diagnostics.add(node.mark, message)
        return None
    message = f"{label} must be a reference, such as env:TOKEN, and never the secret itself"
    suggestion = did_you_mean(source, SECRET_FORMS) if colon and len(source) <= 8 else None
    diagnostics.add(node.mark, message, suggestion or f"Write {'; '.join(SECRET_FORMS.values())}.")
    return None


def _split_command(text: str) -> tuple[str, ...] | None:
    import shlex

    try:
        words = shlex.split(text)
    except ValueError:
        return None
    return tuple(words) if words and words[0] else None


def _split_vault(text: str) -> tuple[str, ...] | None:
    match = _VAULT.fullmatch(text)
    return (match["path"], match["field"]) if match else None


_TARGETS: Mapping[str, Callable[[str], tuple[str, ...] | None]] = {
    "env": lambda text: (text,) if _ENV.fullmatch(text) else None,
    # an absolute path, as nobody knows in which folder a run at 3 a.m. is started
    "file": lambda text: (text,) if text.startswith(("/", "~/")) and text.isprintable() else None,
    "exec": _split_command,
    "vault": _split_vault,
}


def report_unused(section: str, used: set[str], marks: Mapping[str, Mark], diagnostics: Diagnostics) -> None:
    """A param or secret that nothing reads is a slip of the pen, or advice that is not followed."""
    for name, mark in marks.items():
        if name not in used and not identifier_error(name, ""):
            message = f"{section[:-1]} {quoted(name)} is never used"
            diagnostics.add(mark, message, f"Use it as ${{{{ {section}.{name} }}}}, or take it out.")
