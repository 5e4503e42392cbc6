"""The JSON Schema (2020-12) of playbooks, made from what validation itself uses, so that editors complete and check.

A schema knows the structure: keys, types, bounds, which parameters a step type takes. It does not know names: what an
expression reads, whether an id is unique, whether a param is used. Those are told by ``runbook validate`` alone.
"""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from itertools import combinations
from typing import Any

from runbook.playbook.check import RESERVED
from runbook.playbook.declare import MAX_PARAMS, PARAM_KEYS, PARAM_TYPES
from runbook.playbook.durations import format_duration
from runbook.playbook.fields import NUMBERS
from runbook.playbook.heads import LISTS, NOT_OF_A_BLOCK, STEP_KEYS
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.playbook.parse import GUARD_KEYS, LANGUAGE_VERSION, PLAYBOOK_KEYS
from runbook.playbook.retries import RETRY_KEYS, RETRYABLE
from runbook.playbook.sections import Keys
from runbook.playbook.words import UNDO_KEYS

Schema = dict[str, Any]

_DURATION = r"([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}(\.[0-9]{1,9})?s)?([0-9]{1,9}ms)?"
_EXPRESSION: Schema = {"type": "string", "pattern": r"\$\{\{"}
_BARE: Schema = {"type": ["string", "boolean", "number"]}
_IDENTIFIER: Schema = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$", "not": {"enum": keyword.kwlist}}
_REFERENCE = r"^(env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:~?/.*|exec:.*\S.*|vault:[^#\s]+#[^#\s]+)$"
_TYPES: Mapping[str, Schema] = {
    "any": {},
    "string": {"type": "string"},
    "enum": {"type": "string"},
    "url": {"type": "string", "pattern": r"^[hH][tT][tT][pP][sS]?://[^\s/?#@]+([/?#]\S*)?$"},
    "path": {"type": "string", "minLength": 1},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "duration": {"type": "string", "pattern": rf"^\s*(?=[0-9]){_DURATION}\s*$"},
    "list": {"type": "array"},
    "map": {"type": "object"},
}


def schema(catalogue: Mapping[str, StepDeclaration]) -> Schema:
    """The schema of a playbook that may use the steps of ``catalogue``."""
    steps: Schema = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/step"}}
    own: dict[str, Schema] = {
        "runbook": {"const": LANGUAGE_VERSION},
        "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},
        "params": {**_named({"$ref": "#/$defs/param"}), "maxProperties": MAX_PARAMS},
        "secrets": _named({"type": "string", "pattern": _REFERENCE, "maxLength": 1000}),
        "guards": _mapping(GUARD_KEYS, {field.name: _value(field) for field in GUARD_KEYS}),
        **dict.fromkeys(LISTS, steps),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Playbook of runbook",
        **_mapping(PLAYBOOK_KEYS, own),
        "$defs": {"step": _step(catalogue, steps), "param": _param()},
    }


def _named(values: Schema) -> Schema:
    return {"type": "object", "propertyNames": _IDENTIFIER, "additionalProperties": values}


def _mapping(keys: Keys, own: Mapping[str, Schema]) -> Schema:
    """A mapping with these keys and no other; ``own`` says more of some values than their fields do."""
    properties = {field.name: _described(field, own.get(field.name) or _plain(field)) for field in keys}
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**found, "required": [field.name for field in keys.required]} if keys.required else found


def _described(field: Field, value: Schema) -> Schema:
    described = {"description": field.summary, **value}
    default = format_duration(field.default) if field.type == "duration" and field.default else field.default
    return described if default in (None, "") else {**described, "default": default}


def _plain(field: Field) -> Schema:
    """A value that may hold no expression."""
    value = {**_TYPES[field.type]}
    if field.type == "string":
        value |= {"not": _EXPRESSION}
    if field.choices is not None:
        value = {"enum": list(field.choices)}
    if field.type in NUMBERS - {"duration"}:
        value |= {key: bound for key, bound in (("minimum", field.min), ("maximum", field.max)) if bound is not None}
    return value


def _value(field: Field) -> Schema:
    """A value that may be one ``${{ }}`` of its type, or a text with some in it."""
    if field.type == "any" or (field.type == "string" and field.choices is None):
        return {**_TYPES[field.type]}
    return {"anyOf": [_plain(field), _EXPRESSION]}


def _step(catalogue: Mapping[str, StepDeclaration], steps: Schema) -> Schema:
    types = [{"const": step.name, "description": step.summary} for step in catalogue.values()]
    own = {
        "id": {**_IDENTIFIER, "not": {"enum": sorted({*RESERVED, *keyword.kwlist})}},
        "uses": {"type": "string", "oneOf": types},
        "with": {"type": "object"},
        **dict.fromkeys(("if", "until", "assert"), _BARE),
        "for_each": {"type": "string"},
        "else": {"type": "string"},
        "retry": _retry(),
        "undo": _mapping(UNDO_KEYS, {"show": {"type": "string"}}),
        **dict.fromkeys(LISTS, steps),
    }
    block: Schema = {"required": ["steps"], "properties": dict.fromkeys(("uses", *NOT_OF_A_BLOCK), False)}
    return {
        **_mapping(STEP_KEYS, own),
        "oneOf": [{"required": ["uses"], "properties": {"steps": False}}, block],
        "dependentRequired": {"until": ["within"], "every": ["until"], "within": ["until"], "else": ["assert"]},
        "allOf": [_of_type(step) for step in catalogue.values()],
    }


def _of_type(step: StepDeclaration) -> Schema:
    """What a step that uses this type must look like."""
    needed = [field.name for field in step.parameters if field.required]
    given = _mapping(Keys(*step.parameters), {field.name: _value(field) for field in step.parameters})
    if step.exactly_one:
        given["oneOf"] = [{"required": [name]} for name in step.exactly_one]
    if step.at_most_one:
        given["not"] = {"anyOf": [{"required": list(pair)} for pair in combinations(step.at_most_one, 2)]}
    then: Schema = {"properties": {"with": given}}
    if needed or step.exactly_one:
        then["required"] = ["with"]
    if step.effect is not Effect.UNKNOWN:
        then["properties"]["effect"] = False
    return {"if": {"properties": {"uses": {"const": step.name}}, "required": ["uses"]}, "then": then}


def _retry() -> Schema:
    wait = {"type": "string", "pattern": rf"^\s*(?=[0-9]){_DURATION}\s*(\.\.\s*(?=[0-9]){_DURATION}\s*)?$"}
    errors = {"type": "array", "minItems": 1, "items": {"enum": list(RETRYABLE)}}
    bounded = {"anyOf": [{"required": ["times"]}, {"required": ["within"]}]}
    return {**_mapping(RETRY_KEYS, {"wait": wait, "only_on": errors}), **bounded}


def _param() -> Schema:
    return {**_mapping(PARAM_KEYS, {"default": {}}), "allOf": [_of_param_type(name) for name in PARAM_TYPES]}


def _of_param_type(name: str) -> Schema:
    """Bounds are for numbers, choices for what can be listed, a pattern for texts; a default has the type."""
    literal = _plain(Field("", name, ""))
    bounds = literal if name in NUMBERS else False
    choices: Any = {"minItems": 1, "items": literal} if name in ("string", "enum", "int", "float") else False
    pattern: Any = name in ("string", "url", "path")
    then: Schema = {
        "properties": {"default": literal, "min": bounds, "max": bounds, "choices": choices, "pattern": pattern},
        "not": {"properties": {"required": {"const": True}}, "required": ["required", "default"]},
    }
    if name == "enum":
        then["required"] = ["choices"]
    return {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": then}
