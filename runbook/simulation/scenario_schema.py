"""The JSON Schema (2020-12) of a scenario, made from the keys that validation uses, so that editors complete.

A schema knows no time: only ``runbook rehearse`` finds that a server is killed twice, or that there is no such server.
"""

from __future__ import annotations

from runbook.playbook.schema import Schema, mapping_schema
from runbook.simulation.scenario import (
    CLUSTER_KEYS,
    EXPECT_KEYS,
    FAULT_KEYS,
    FAULTS,
    SCENARIO_KEYS,
    SCENARIO_VERSION,
    Takes,
)

_SERVER: Schema = {"type": "string", "pattern": "^(s[1-9]|leader|follower)$"}
_SERVERS: Schema = {"type": "array", "items": _SERVER, "uniqueItems": True}
_VALUES: dict[Takes, Schema] = {
    Takes.SERVERS: {"anyOf": [_SERVER, _SERVERS]},
    Takes.GROUPS: {"type": "array", "items": _SERVERS},
    Takes.TRUE: {"const": True},
    Takes.COUNT: {"type": "integer", "minimum": 1, "maximum": 100},
}


def scenario_schema() -> Schema:
    """The schema of a whole scenario."""
    fault: Schema = {
        **mapping_schema(FAULT_KEYS, {word: _VALUES[kind.takes] for word, kind in FAULTS.items()}),
        "oneOf": [{"required": [word]} for word in FAULTS],
    }
    servers = {"removed": _VALUES[Takes.SERVERS], "voters": _VALUES[Takes.SERVERS]}
    own: dict[str, Schema] = {
        "scenario": {"const": SCENARIO_VERSION},
        "cluster": mapping_schema(CLUSTER_KEYS, {"non_voters": _VALUES[Takes.SERVERS]}),
        "faults": {"type": "array", "items": fault},
        "params": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}},
        "expect": mapping_schema(EXPECT_KEYS, servers),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Scenario of runbook",
        **mapping_schema(SCENARIO_KEYS, own),
    }
