"""Reads ``params:``, where a playbook declares what the command line may give it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from runbook.playbook.faults import Faults, quoted
from runbook.playbook.fields import NUMBERS
from runbook.playbook.model import Field, Mark
from runbook.playbook.nodes import MapNode, Node, kind
from runbook.playbook.sections import Keys, Section, fitted

MAX_PARAMS = 500
"""Of one playbook: each may have a pattern, which takes a millisecond to read."""
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
_CHOOSABLE = frozenset({"string", "enum", "int", "float"})
_PATTERNED = frozenset({"string", "url", "path"})
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def identifier_fault(name: str, what: str) -> tuple[str, str | None] | None:
    """Why ``name`` cannot stand in an expression, and a name that can; nothing where it can."""
    from keyword import iskeyword

    if iskeyword(name):
        return f"{quoted(name)} cannot be {what}: it is a word of the expression language", None
    if _IDENTIFIER.fullmatch(name):
        return None
    better = re.sub(r"[-. ]+", "_", name)
    rule = "it needs letters, digits and _, a digit not first, 64 at most"
    meant = f"Did you mean {quoted(better)}?" if _IDENTIFIER.fullmatch(better) else None
    return f"{quoted(name)} cannot be {what}: {rule}", meant


def read_params(node: Node | None, faults: Faults) -> tuple[dict[str, Field], dict[str, Mark]]:
    """The params by name, and where each is declared."""
    if node is None:
        return {}, {}
    if not isinstance(node, MapNode):
        faults.add(node.mark, f'"params" must be a mapping of names, not {kind(node)}')
        return {}, {}
    if len(node.entries) > MAX_PARAMS:
        faults.fail(node.mark, f'"params" holds {len(node.entries):,} names; a playbook may have {MAX_PARAMS}')
    params: dict[str, Field] = {}
    upper: dict[str, str] = {}
    for name, (key, value) in node.entries.items():
        fault = identifier_fault(name, "the name of a param")
        if fault:
            faults.add(key.mark, *fault)
        if name.upper() in upper:
            other = f"params {quoted(upper[name.upper()])} and {quoted(name)} differ only in upper and lower case"
            faults.add(key.mark, f"{other}, which an environment variable cannot tell")
        upper[name.upper()] = name
        params[name] = _read_param(name, value, faults)
    return params, {name: key.mark for name, (key, _) in node.entries.items()}


def _read_param(name: str, node: Node, faults: Faults) -> Field:
    if not isinstance(node, MapNode):
        example = f"Write {name}: {{ type: string, default: … }}."
        faults.add(node.mark, f"param {quoted(name)} must be a mapping with a type, not {kind(node)}", example)
        return Field(name, "any", "")
    section = Section(node, f"param {quoted(name)}", PARAM_KEYS, faults)
    param = Field(name, section.value("type") or "any", section.value("summary") or "")
    param = _with_choices(param, section, faults)
    param = _with_pattern(_with_bounds(param, section), section)
    return _with_default(param, section)


def _with_choices(param: Field, section: Section, faults: Faults) -> Field:
    node = section.get("choices")
    if node is None:
        if param.type == "enum":
            section.wrong("type", 'is "enum", which needs "choices"', "Add choices: [a, b].")
        return param
    choices = section.value("choices")
    if param.type not in (*_CHOOSABLE, "any"):
        section.wrong("choices", f"means nothing for the type {param.type}")
    elif choices == []:
        section.wrong("choices", "must hold one value at least")
    elif choices and not isinstance(node, MapNode):
        of_param = Field(param.name, param.type, "")
        items = getattr(node, "items", ())
        fit = [fitted(item, of_param, f"a choice of param {quoted(param.name)}", faults) for item in items]
        return replace(param, choices=tuple(fit)) if None not in fit else param
    return param


def _with_bounds(param: Field, section: Section) -> Field:
    bounds: dict[str, Any] = {}
    for name in ("min", "max"):
        if section.get(name) is None:
            continue
        if param.type not in (*NUMBERS, "any"):
            section.wrong(name, f"means nothing for the type {param.type}")
        elif param.type != "any":
            bounds[name] = section.value(name, Field(name, param.type, ""))
    low, high = bounds.get("min"), bounds.get("max")
    if low is not None and high is not None and low > high:
        section.wrong("min", 'is larger than "max"; no value would fit')
        return param
    return replace(param, min=low, max=high)


def _with_pattern(param: Field, section: Section) -> Field:
    written = section.value("pattern")
    if written is None:
        return param
    if param.type not in (*_PATTERNED, "any"):
        section.wrong("pattern", f"means nothing for the type {param.type}")
        return param
    from runbook.playbook.patterns import compile_pattern

    try:
        compile_pattern(written)
    except ValueError as error:
        section.wrong("pattern", f"cannot be used: {error}")
        return param
    return replace(param, pattern=written) if param.type in _PATTERNED else param


def _with_default(param: Field, section: Section) -> Field:
    """A param without a default must be given, unless it says ``required: false``: then it may be null."""
    required = section.value("required")
    if section.get("default") is None:
        return replace(param, required=required is not False)
    if required:
        section.wrong("required", "contradicts its default: a param with a default need not be given", "Take one out.")
    return replace(param, default=section.value("default", param))


def told_unused(section: str, used: set[str], marks: dict[str, Mark], faults: Faults) -> None:
    """A param or secret that nothing reads is a slip of the pen, or advice that is not followed."""
    for name, mark in marks.items():
        if name not in used and not identifier_fault(name, ""):
            message = f"{section[:-1]} {quoted(name)} is never used"
            faults.add(mark, message, f"Use it as ${{{{ {section}.{name} }}}}, or take it out.")
