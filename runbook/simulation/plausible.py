"""Scenarios in which no real cluster could be: who is dead cannot die again, and who runs cannot be thawed."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.playbook.diagnostics import Diagnostics
from runbook.simulation.scenario import FOLLOWER, LEADER, Scenario, ScenarioFault
from runbook.simulation.state import ProcessState

STOPS = ("freeze", "hang", "pause")
DIES = ("kill", "power_off")
CUTS = ("cut", "cut_off", "refuse")


def report_impossible(scenario: Scenario, diagnostics: Diagnostics) -> None:
    """Every fault that would befall a server which is not there to be befallen, at its place in the file."""
    _StatesInTime(scenario, diagnostics).report()


class _StatesInTime:
    """What each server is doing as time goes on. Of one that leads or follows *then* the file cannot tell the name."""

    def __init__(self, scenario: Scenario, diagnostics: Diagnostics) -> None:
        self._scenario, self._diagnostics = scenario, diagnostics
        self._states = dict.fromkeys(scenario.settings.names, ProcessState.RUNNING)
        self._thaws_at: dict[str, float] = {}
        self._cut_until: list[float] = []

    def report(self) -> None:
        dynamic = {LEADER, FOLLOWER}
        for fault in self._scenario.faults:
            if dynamic & set(fault.servers) and fault.kind.word in (*DIES, *STOPS):
                return  # from here on anybody may be dead: what happens is checked as it happens
            self._thaw_until(fault.at)
            for sentence in self._impossible(fault):
                self._diagnostics.add(fault.mark, f"at {fault.at:g} s {sentence}")

    def _thaw_until(self, now: float) -> None:
        for name in [name for name, at in self._thaws_at.items() if at <= now]:
            del self._thaws_at[name]
            if self._states[name] is ProcessState.FROZEN:
                self._states[name] = ProcessState.RUNNING

    def _impossible(self, fault: ScenarioFault) -> Iterator[str]:
        word = fault.kind.word
        for name in (name for name in fault.servers if name in self._states):
            state = self._states[name]
            if word in DIES and state is ProcessState.KILLED:
                yield f"{name} is dead already, so {word} cannot befall it"
            elif word in STOPS and state is not ProcessState.RUNNING:
                yield f"{name} is {state.value}, and only a running server can be stopped by {word}"
            elif word == "thaw" and state is not ProcessState.FROZEN:
                yield f"{name} is {state.value}, and only a frozen server can be thawed"
            self._befall(name, fault)
        if word in CUTS:
            self._cut_until.append(fault.at + fault.lasts if fault.lasts is not None else float("inf"))
        if word == "cut":
            yield from self._impossible_cut(fault)
        elif word == "heal":
            if not any(until > fault.at for until in self._cut_until):
                yield "nothing is cut, so nothing can heal"
            self._cut_until.clear()

    def _befall(self, name: str, fault: ScenarioFault) -> None:
        word = fault.kind.word
        if word in DIES:
            self._states[name] = ProcessState.KILLED
        elif word in STOPS:
            self._states[name] = ProcessState.FROZEN
            if fault.lasts is not None:
                self._thaws_at[name] = fault.at + fault.lasts
        elif word in ("thaw", "restart", "wipe"):
            self._states[name] = ProcessState.RUNNING

    def _impossible_cut(self, fault: ScenarioFault) -> Iterator[str]:
        named = [name for group in fault.groups for name in group]
        if len(named) != len(set(named)):
            yield "a server is on two sides of the cut"
        left = set(self._states) - set(named)
        if sum(bool(group) for group in fault.groups) + bool(left) < 2:
            yield "the cut has one side only"
