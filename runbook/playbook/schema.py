"""The JSON Schema (2020-12) of playbooks, made from what validation itself uses, so that editors complete and check.

A schema knows the structure: keys, types, bounds, which parameters a step type takes. It does not know names: what an
expression reads, whether an id is unique, whether a param is used. Only ``runbook validate`` checks those.
"""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from itertools import combinations
from typing import Any

from runbook.playbook.approval_parser import APPROVAL_KEYS
from runbook.playbook.declarations import MAX_PARAMS, MAX_REFERENCE, PARAM_KEYS, PARAM_TYPES, WITH_CHOICES, WITH_PATTERN
from runbook.playbook.expressions.static_scope import RESERVED
from runbook.playbook.mapping import Keys
from runbook.playbook.model import RETRYABLE, Effect, Field, StepDeclaration
from runbook.playbook.parser import GUARD_KEYS, LANGUAGE_VERSION, PLAYBOOK_KEYS
from runbook.playbook.step_options import RETRY_KEYS, UNDO_KEYS
from runbook.playbook.step_outline import LISTS, NOT_OF_A_BLOCK, NOT_OF_AN_ASSERTION, STEP_KEYS
from runbook.playbook.types import NUMBERS, format_duration

Schema = dict[str, Any]

_DURATION = r"([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}(\.[0-9]{1,9})?s)?([0-9]{1,9}ms)?"
_EXPRESSION: Schema = {"type": "string", "pattern": r"\$\{\{"}
_BARE: Schema = {"type": ["string", "boolean", "number"]}
_IDENTIFIER: Schema = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$", "not": {"enum": keyword.kwlist}}
REFERENCE = r"^(env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:~?/.*|exec:.*\S.*|vault:[^#\s]+#[^#\s]+)$"
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


def playbook_schema(catalogue: Mapping[str, StepDeclaration]) -> Schema:
    """The schema of a playbook that may use the steps of ``catalogue``."""
    param = {
        **mapping_schema(PARAM_KEYS, {"default": {}}),
        "allOf": [_param_type_schema(name) for name in PARAM_TYPES],
    }
    steps: Schema = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/step"}}
    own: dict[str, Schema] = {
        "runbook": {"const": LANGUAGE_VERSION},
        "timeout": _value_schema(PLAYBOOK_KEYS.fields["timeout"]),
        "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},
        "params": {**_named_values_schema({"$ref": "#/$defs/param"}), "maxProperties": MAX_PARAMS},
        "secrets": _named_values_schema({"type": "string", "pattern": REFERENCE, "maxLength": MAX_REFERENCE}),
        "guards": mapping_schema(GUARD_KEYS, {field.name: _value_schema(field) for field in GUARD_KEYS}),
        "approve": approval_schema(),
        **dict.fromkeys(LISTS, steps),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Playbook of runbook",
        **mapping_schema(PLAYBOOK_KEYS, own),
        "$defs": {"step": _step_schema(catalogue, steps), "param": param},
    }


def _named_values_schema(values: Schema) -> Schema:
    return {"type": "object", "propertyNames": _IDENTIFIER, "additionalProperties": values}


def mapping_schema(keys: Keys, own: Mapping[str, Schema]) -> Schema:
    """A mapping with these keys and no other; ``own`` says more of some values than their fields do."""
    properties: Schema = {}
    for field in keys:
        properties[field.name] = {"description": field.summary, **(own.get(field.name) or _literal_schema(field))}
        default = format_duration(field.default) if field.type == "duration" and field.default else field.default
        if default not in (None, ""):
            properties[field.name]["default"] = default
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**found, "required": [field.name for field in keys.required]} if keys.required else found


def approval_schema() -> Schema:
    """What stands under ``approve:``, in a playbook and in an inventory."""
    return mapping_schema(APPROVAL_KEYS, {"by": {"type": "string", "pattern": "^/"}})


def _literal_schema(field: Field) -> Schema:
    """A value that may hold no expression."""
    value = {**_TYPES[field.type]}
    if field.type == "string":
        value |= {"not": _EXPRESSION}
    if field.choices is not None:
        value = {"enum": list(field.choices)}
    if field.type in NUMBERS - {"duration"}:
        value |= {key: bound for key, bound in (("minimum", field.min), ("maximum", field.max)) if bound is not None}
    return value


def _value_schema(field: Field) -> Schema:
    """A value that may be one ``${{ }}`` of its type, or a string with some in it."""
    if field.type == "any" or (field.type == "string" and field.choices is None):
        return {**_TYPES[field.type]}
    return {"anyOf": [_literal_schema(field), _EXPRESSION]}


def _step_schema(catalogue: Mapping[str, StepDeclaration], steps: Schema) -> Schema:
    types = [{"const": step.name, "description": step.summary} for step in catalogue.values()]
    bounds = {name: _value_schema(RETRY_KEYS.fields[name]) for name in ("times", "within")}
    pause = rf"^\s*(?=[0-9]){_DURATION}\s*(\.\.\s*(?=[0-9]){_DURATION}\s*)?$"
    wait = {"anyOf": [{"type": "string", "pattern": pause}, _EXPRESSION]}
    errors = {"type": "array", "minItems": 1, "items": {"enum": list(RETRYABLE)}}
    own = {
        "id": {**_IDENTIFIER, "not": {"enum": sorted({*RESERVED, *keyword.kwlist})}},
        "uses": {"type": "string", "oneOf": types},
        "with": {"type": "object"},
        **dict.fromkeys(("if", "until", "assert"), _BARE),
        **{name: _value_schema(STEP_KEYS.fields[name]) for name in ("timeout", "every", "within", "parallel")},
        "for_each": {"type": "string"},
        "else": {"type": "string"},
        "retry": {
            **mapping_schema(RETRY_KEYS, {"wait": wait, "only_on": errors, **bounds}),
            "anyOf": [{"required": ["times"]}, {"required": ["within"]}],
        },
        "undo": mapping_schema(UNDO_KEYS, {"show": {"type": "string"}}),
        **dict.fromkeys(LISTS, steps),
    }
    block: Schema = {"required": ["steps"], "properties": dict.fromkeys(("uses", *NOT_OF_A_BLOCK), False)}
    assertion: Schema = {
        "required": ["assert"],
        "properties": dict.fromkeys(("uses", "steps", *NOT_OF_AN_ASSERTION), False),
    }
    return {
        **mapping_schema(STEP_KEYS, own),
        "oneOf": [{"required": ["uses"], "properties": {"steps": False}}, block, assertion],
        "dependentRequired": {"until": ["within"], "every": ["until"], "within": ["until"], "else": ["assert"]}
        | {"parallel": ["for_each"]},
        "allOf": [_step_type_schema(step) for step in catalogue.values()],
    }


def _step_type_schema(step: StepDeclaration) -> Schema:
    """What a step that uses this type must look like."""
    needed = [field.name for field in step.parameters if field.required]
    given = mapping_schema(Keys(*step.parameters), {field.name: _value_schema(field) for field in step.parameters})
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


def _param_type_schema(name: str) -> Schema:
    """Bounds are for numbers, choices for what can be listed, a pattern for strings; a default has the type."""
    literal = _literal_schema(Field("", name, ""))
    bounds = literal if name in NUMBERS else False
    choices: Any = {"minItems": 1, "items": literal} if name in WITH_CHOICES else False
    pattern = name in WITH_PATTERN
    then: Schema = {
        "properties": {"default": literal, "min": bounds, "max": bounds, "choices": choices, "pattern": pattern},
        "not": {"properties": {"required": {"const": True}}, "required": ["required", "default"]},
    }
    if name == "enum":
        then["required"] = ["choices"]
    return {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": then}
