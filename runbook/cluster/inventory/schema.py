"""The JSON Schema (2020-12) of an inventory, made from the keys that validation uses, so that editors complete.

A schema compares no cluster with another: only ``runbook clusters check`` finds an address that two of them have.
"""

from __future__ import annotations

import re
from typing import Any

from runbook.cluster.inventory import keys
from runbook.playbook.declarations import MAX_REFERENCE
from runbook.playbook.mapping import Keys
from runbook.playbook.schema import REFERENCE, Schema, approval_schema, mapping_schema

_TEXT: Schema = {"type": "string"}
_PATH: Schema = {"type": "string", "pattern": "^(/|~/)"}
_URL: Schema = {
    "type": "string",
    "pattern": r"^([hH][tT][tT][pP][sS]?://(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]]+)(:[0-9]{1,5})?(/[^\s?#@]*)?"
    r"|unix:///[^\s?#@]*[^\s/?#@][^\s?#@]*)$",
}


def inventory_schema() -> Schema:
    """The schema of a whole inventory."""
    clusters: Schema = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": _name(keys.NAME),
        "additionalProperties": {"$ref": "#/$defs/cluster"},
    }
    own: dict[str, Schema] = {"inventory": {"const": keys.INVENTORY_VERSION}, "clusters": clusters}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Inventory of runbook",
        **mapping_schema(keys.INVENTORY_KEYS, own),
        "$defs": {"cluster": _cluster_schema()},
    }


def _name(pattern: re.Pattern[str]) -> Schema:
    return {"type": "string", "pattern": f"^(?:{pattern.pattern})$"}


def _cluster_schema() -> Schema:
    address = {"anyOf": [_URL, mapping_schema(keys.ADDRESS_KEYS, {"url": _URL})]}
    each = {"type": "object", "propertyNames": _name(keys.SERVER), "additionalProperties": address}
    one_or_more: Schema = {"minItems": 1, "maxItems": keys.MAX_SERVERS}
    command: Schema = {"type": "string", "pattern": r"\S"}
    service: Schema = {
        **mapping_schema(keys.SERVICE_KEYS, {"unit": _name(keys.UNIT), "stop": command, "start": command}),
        "oneOf": [
            {"required": ["unit"], "properties": {"stop": False, "start": False}},
            {"required": ["stop", "start"], "properties": {"unit": False}},
        ],
    }
    paths = dict.fromkeys(("ca", "cert", "key"), _PATH)
    reference: Schema = {"type": "string", "pattern": REFERENCE, "maxLength": MAX_REFERENCE}
    own: dict[str, Schema] = {
        "addresses": {
            "anyOf": [
                {"type": "array", "items": address, **one_or_more},
                {**each, "minProperties": 1, "maxProperties": keys.MAX_SERVERS},
            ]
        },
        "labels": {"type": "object", "propertyNames": _name(keys.LABEL), "additionalProperties": _TEXT},
        "tls": {
            **mapping_schema(keys.TLS_KEYS, paths),
            "dependentRequired": {"cert": ["key"], "key": ["cert"]},
        },
        "credentials": mapping_schema(keys.CREDENTIAL_KEYS, _all(keys.CREDENTIAL_KEYS, reference)),
        "hosts": {
            "type": "object",
            "maxProperties": keys.MAX_SERVERS,
            "propertyNames": _name(keys.SERVER),
            "additionalProperties": _host_schema(service),
        },
        "data_folder": _PATH,
        "service": service,
        "approve": approval_schema(),
    }
    return {**mapping_schema(keys.CLUSTER_KEYS, own), "allOf": [_kind_schema(*each) for each in keys.NOT_OF.items()]}


def _kind_schema(kind: str, barred: tuple[str, ...]) -> Schema:
    """What a cluster of this kind has no use for."""
    without: Schema = {"properties": dict.fromkeys(barred, False)}
    then: Schema = {"properties": {**without["properties"], "credentials": without}}
    return {"if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]}, "then": then}


def _all(known: Keys, schema: Schema) -> dict[str, Any]:
    return {field.name: schema for field in known}


def _host_schema(service: Schema) -> Schema:
    here: Schema = {"required": ["local"], "properties": {"local": {"const": True}, "ssh": False, "port": False}}
    there: Schema = {"required": ["ssh"], "properties": {"local": {"const": False}}}
    own = {"ssh": _name(keys.SSH), "data_folder": _PATH, "service": service}
    return {"anyOf": [{"const": "local"}, {**mapping_schema(keys.HOST_KEYS, own), "oneOf": [here, there]}]}
