"""The bytes of a scenario to a checked :class:`Scenario`, or every fault at once. Nothing is read here."""

from __future__ import annotations

from runbook.errors import LabError
from runbook.playbook.diagnostics import Diagnostics, did_you_mean, quoted
from runbook.playbook.mapping import Keys, MappingReader, read_literal
from runbook.playbook.model import Field
from runbook.playbook.reader import read_yaml
from runbook.playbook.yaml_tree import ListNode, MapNode, Node, Scalar, describe_node
from runbook.simulation.plausible import report_impossible
from runbook.simulation.scenario import (
    CLUSTER_KEYS,
    EXPECT_KEYS,
    FAULT_KEYS,
    FAULTS,
    FOLLOWER,
    LEADER,
    SCENARIO_KEYS,
    SCENARIO_VERSION,
    Doors,
    Expectation,
    FaultWord,
    Scenario,
    ScenarioFault,
    Takes,
    Token,
)
from runbook.simulation.settings import NEWEST, OLDEST, SimulationSettings

TOKEN = "0b5d1f6e-3f3a-4c7e-9d0e-5a1c7b9e2f00"  # noqa: S105 - of a cluster that does not exist
BEGINS = f'It begins with "scenario: {SCENARIO_VERSION}".'
_NAME = Field("", "string", "")
_COUNT = Field("", "int", "", min=1, max=100)
_TRUE = Field("", "bool", "", choices=(True,))


def parse_scenario(data: bytes, path: str) -> Scenario:
    """The scenario in ``data``, by the same strict rules as a playbook.

    Raises PlaybookError, which holds every fault: also a scenario in which no real cluster could be.
    """
    root, diagnostics = read_yaml(data, path, "a scenario")
    if not isinstance(root, MapNode):
        diagnostics.fail(root.mark, f"a scenario is a mapping, not {describe_node(root)}", BEGINS)
    return _ScenarioParser(root, diagnostics).read()


class _ScenarioParser:
    def __init__(self, root: MapNode, diagnostics: Diagnostics) -> None:
        self._diagnostics = diagnostics
        self._root = MappingReader(root, "the scenario", SCENARIO_KEYS, diagnostics)
        self._names: tuple[str, ...] = ()

    def read(self) -> Scenario:
        root = self._root
        version = root.value("scenario")
        if version not in (None, SCENARIO_VERSION):
            root.report("scenario", f"is {version}, but this version of runbook reads {SCENARIO_VERSION}")
        name, summary, starts_at = root.value("name"), root.value("summary"), root.value("start_at")
        cluster = self._part("cluster", CLUSTER_KEYS)
        settings = self._settings(cluster) if cluster else None
        if cluster is None or settings is None:  # who there is decides on all that follows
            self._diagnostics.raise_if_any()
            self._diagnostics.fail(root.node.mark, "the scenario has no cluster")
        scenario = Scenario(
            name=name or "",
            summary=summary or "",
            settings=settings,
            doors=Doors(cluster.value("doors") or "all"),
            door=self._server(cluster, "door"),
            token=Token(cluster.value("token") or "none"),
            non_voters=self._servers_in(cluster, "non_voters") or (),
            starts_at=starts_at or 0.0,
            faults=self._faults(),
            params=self._params(),
            expect=self._expectation(),
        )
        if scenario.settings.leader in scenario.non_voters:
            cluster.report("non_voters", f"holds {scenario.settings.leader}, and the leader is always a voter")
        self._diagnostics.raise_if_any()
        report_impossible(scenario, self._diagnostics)
        self._diagnostics.raise_if_any()
        return scenario

    def _part(self, name: str, keys: Keys) -> MappingReader | None:
        node = self._root.get(name)
        if node is None:
            return None
        if not isinstance(node, MapNode):
            self._root.report(name, f"must be a mapping, not {describe_node(node)}")
            return None
        return MappingReader(node, quoted(name), keys, self._diagnostics)

    def _settings(self, cluster: MappingReader) -> SimulationSettings | None:
        servers = cluster.value("servers")
        values = {name: cluster.value(name) for name in ("version", "raft_protocol", "min_quorum", "cleanup")}
        cluster.value("kind")
        token = cluster.value("token")
        if servers is None:
            return None
        self._names = tuple(f"s{number}" for number in range(1, servers + 1))
        try:
            settings = SimulationSettings(
                servers=servers,
                gossip_delay=cluster.value("gossip_delay") or 40.0,
                raft_protocol=values["raft_protocol"] or 3,
                version=values["version"],
                token=TOKEN if token in ("right", "wrong") else None,
                cleanup=bool(values["cleanup"]),
                min_quorum=values["min_quorum"] or 0,
                leader=self._server(cluster, "leader"),
            )
            known = settings.is_known
        except LabError as error:
            cluster.report("version", f"cannot be: {error}")
            return None
        if not known:
            cluster.report("version", f"is {settings.release}, and the simulation draws Nomad {OLDEST} to {NEWEST}")
        return settings

    # -- servers

    def _server(self, mapping: MappingReader, key: str) -> str:
        name = mapping.value(key)
        if name is not None and name not in self._names:
            mapping.report(key, *self._unknown(name))
        return str(name or "")

    def _servers_in(self, mapping: MappingReader, key: str) -> tuple[str, ...] | None:
        node = mapping.get(key)
        return None if node is None else self._servers(node, mapping.label(key))

    def _servers(self, node: Node, label: str, roles: tuple[str, ...] = ()) -> tuple[str, ...]:
        """One name or a list of them, each once."""
        if isinstance(node, MapNode):
            self._diagnostics.add(node.mark, f"{label} must be a server's name or a list of them, not a mapping")
            return ()
        found: list[str] = []
        for item in node.items if isinstance(node, ListNode) else (node,):
            name = read_literal(item, _NAME, label, self._diagnostics)
            if name is None:
                continue
            if name not in (*self._names, *roles):
                message, hint = self._unknown(name)
                self._diagnostics.add(item.mark, f"{label} {message}", hint)
            elif name in found:
                self._diagnostics.add(item.mark, f"{label} names {name} twice")
            found.append(name)
        return tuple(found)

    def _unknown(self, name: str) -> tuple[str, str | None]:
        message = f"names {quoted(name)}, and this cluster has {', '.join(self._names)}"
        return message, did_you_mean(name, self._names)

    # -- what befalls it

    def _faults(self) -> tuple[ScenarioFault, ...]:
        node = self._root.get("faults")
        if node is None:
            return ()
        if not isinstance(node, ListNode):
            self._root.report("faults", f"must be a list, not {describe_node(node)}", "Write - { at: 0s, kill: s4 }")
            return ()
        found = [self._fault(item) for item in node.items]
        return tuple(sorted((fault for fault in found if fault), key=lambda fault: fault.at))

    def _fault(self, node: Node) -> ScenarioFault | None:
        if not isinstance(node, MapNode):
            told = f"a fault is a mapping, not {describe_node(node)}"
            self._diagnostics.add(node.mark, told, "Write - { at: 0s, kill: s4 }")
            return None
        mapping = MappingReader(node, "a fault", FAULT_KEYS, self._diagnostics)
        at, lasts = mapping.value("at"), mapping.value("for")
        words = [word for word in node.entries if word in FAULTS]
        if len(words) != 1:
            named = " and ".join(words) or "none"
            self._diagnostics.add(node.mark, f"a fault has one of {', '.join(FAULTS)}; here: {named}")
            return None
        kind = FAULTS[words[0]]
        if lasts is not None and not kind.passes:
            mapping.report("for", f"does not go with {kind.word}, which does not pass by itself")
        return self._fault_of(kind, node.entries[kind.word][1], at or 0.0, lasts)

    def _fault_of(self, kind: FaultWord, node: Node, at: float, lasts: float | None) -> ScenarioFault:
        label = quoted(kind.word)
        fault = ScenarioFault(at, kind, node.mark, lasts=lasts)
        if kind.takes is Takes.SERVERS:
            servers = self._servers(node, label, (LEADER, FOLLOWER))
            return ScenarioFault(at, kind, node.mark, servers=servers, lasts=lasts)
        if kind.takes is Takes.COUNT:
            count = read_literal(node, _COUNT, label, self._diagnostics)
            return ScenarioFault(at, kind, node.mark, count=count or 0)
        if kind.takes is Takes.TRUE:
            read_literal(node, _TRUE, label, self._diagnostics)
            return fault
        if not isinstance(node, ListNode) or not all(isinstance(item, ListNode) for item in node.items):
            told = f"{label} must be {kind.takes.value}, not {describe_node(node)}"
            self._diagnostics.add(node.mark, told, "Write cut: [[s1, s2], [s3, s4, s5]]")
            return fault
        groups = tuple(self._servers(item, label) for item in node.items)
        return ScenarioFault(at, kind, node.mark, groups=groups, lasts=lasts)

    def _params(self) -> dict[str, str]:
        node = self._root.get("params")
        if node is None:
            return {}
        if not isinstance(node, MapNode):
            self._root.report("params", f"must be a mapping, not {describe_node(node)}")
            return {}
        found: dict[str, str] = {}
        for name, (_, value) in node.entries.items():
            if isinstance(value, Scalar):
                found[name] = value.text
            else:
                self._diagnostics.add(
                    value.mark, f"a param is written as on the command line, not {describe_node(value)}"
                )
        return found

    def _expectation(self) -> Expectation:
        mapping = self._part("expect", EXPECT_KEYS)
        if mapping is None:
            return Expectation()
        return Expectation(
            exit=mapping.value("exit"),
            outcome=mapping.value("outcome"),
            code=mapping.value("code"),
            removed=self._servers_in(mapping, "removed"),
            voters=self._servers_in(mapping, "voters"),
            leader=mapping.value("leader"),
            diagnosis=mapping.value("diagnosis"),
        )
