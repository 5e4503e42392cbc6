"""``runbook fleet execute``: who is asked before it begins, and what is printed as each run ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runbook.cli.output import Output
from runbook.cli.progress import ProgressBar, progress_bar
from runbook.cli.terminal import Person, Terminal
from runbook.cli.via import Via
from runbook.clock import Clock, SystemClock
from runbook.cluster.inventory.locate import find_inventory, read_inventory
from runbook.dataclass import dataclass
from runbook.engine.plan import Plan
from runbook.errors import RefusedError, SettingsError
from runbook.fleet.check import select
from runbook.fleet.execute import FleetEnd, FleetPolicy, Runner, execute_fleet
from runbook.fleet.one_run import Begin, run_on_cluster
from runbook.fleet.record import FLEETS, FleetRecord, fleet_name
from runbook.fleet.requests import NOT_BEGUN, OUTCOMES, ClusterRunRequest, ClusterRunResult
from runbook.printable import printable_line
from runbook.raft.diagnosis.findings import format_count
from runbook.raft.removal import Refusal
from runbook.report.stream import is_terminal
from runbook.report.times import format_seconds
from runbook.session.interrupts import RunInterrupts
from runbook.session.open_run import RunRequest, plan_of, user_name
from runbook.session.run_folders import state_folder
from runbook.session.run_session import RunOptions
from runbook.shipped_playbooks import PATHS

if TYPE_CHECKING:
    from runbook.cluster.inventory.model import InventoryCluster
    from runbook.fleet.post import Post

OUTCOME_WIDTH = max(map(len, OUTCOMES))


@dataclass(frozen=True)
class FleetOrder:
    """What was typed."""

    playbook: str
    params: Mapping[str, str]
    labels: Mapping[str, str]
    inventory: str | None
    canary: int
    serial: int
    max_failures: int
    dry_run: bool
    unattended: bool
    yes: bool
    form: str
    via: Via | None = None

    @property
    def policy(self) -> FleetPolicy:
        return FleetPolicy(self.canary, self.serial, self.max_failures)


def run_fleet(order: FleetOrder, environment: Mapping[str, str], clock: Clock | None = None) -> int:
    """From the list that is shown to the summary. Raises RunbookError where nothing was begun."""
    output, clock = Output(), clock or SystemClock()
    inventory = find_inventory(order.inventory, environment)
    clusters = select(read_inventory(inventory).clusters, order.labels)
    names = [cluster.name for cluster in clusters]
    if not names:
        asked = ", ".join(f"{name}={value}" for name, value in order.labels.items())
        raise SettingsError(f"no cluster of {inventory} has {asked}", "`runbook clusters` lists them")
    options = RunOptions(dry_run=order.dry_run, unattended=order.unattended)
    plan = plan_of(RunRequest(order.playbook, order.params, options=options), environment, clock, output.redactor)
    post = _post(order, plan, environment, output)
    who, fleet = user_name(environment), fleet_name(plan.playbook.name, clock)
    for line in _announced(order, plan, names, str(inventory)):  # on stderr, also beside JSON: nobody agrees unseen
        output.note(printable_line(line), indent="")
    agreed = _agreed(order, plan, names, Person(who, _terminal(order), output))
    requests = [
        ClusterRunRequest(
            fleet,
            name,
            _name_sent(order.playbook) if post else order.playbook,
            order.params,
            who,
            agreed,
            order.dry_run,
            order.unattended,
            plan.playbook.digest,
        )
        for name in names
    ]
    record = FleetRecord.begin(state_folder(environment) / FLEETS, requests, order.policy, str(inventory), clock)

    def run_here(request: ClusterRunRequest, begin: Begin, interrupts: RunInterrupts) -> ClusterRunResult:
        return run_on_cluster(request, environment, clock, inventory=str(inventory), begin=begin, interrupts=interrupts)

    by_name = {cluster.name: cluster for cluster in clusters}
    run = run_here if post is None else _far_runner(post, by_name, state_folder(environment) / FLEETS)
    with progress_bar(output.err, len(names), plan.playbook.name) as bar:
        end = execute_fleet(
            requests, order.policy, run, FleetShown(record, output, bar, order.form, names, "there: " if post else "")
        )
    return _told(end, record, output, order.form)


def _post(order: FleetOrder, plan: Plan, environment: Mapping[str, str], output: Output) -> Post | None:
    """Where workers do it. Raises SettingsError where it cannot be sent, before anybody is asked."""
    if order.via is None:
        return None
    if any(output.redactor.hide(value) != value for value in order.params.values()):
        raise SettingsError("a param holds a secret, which is not sent to workers", "Have the playbook fetch it there")
    if not order.via.key and plan.changes and not order.dry_run:
        what = f"{plan.playbook.name} changes clusters, and workers change nothing for an order that nobody signed"
        raise SettingsError(what, "Sign it: --signing-key KEY")
    return order.via.post(environment, output.redactor)


def _name_sent(playbook: str) -> str:
    """How a worker finds it: by its name alone, with or without the suffix of a file."""
    name = Path(playbook).name
    return name.rpartition(".")[0] if name.endswith(PATHS) else name


def _far_runner(post: Post, clusters: Mapping[str, InventoryCluster], fleets: Path) -> Runner:
    from runbook.fleet.far_runs import FarRunner

    return FarRunner(post, clusters, fleets)


def _terminal(order: FleetOrder) -> Terminal:
    return Terminal(is_terminal(sys.stdin) and is_terminal(sys.stderr), order.yes)


def _announced(order: FleetOrder, plan: Plan, names: list[str], inventory: str) -> list[str]:
    """What is to be done where, in which order, and when it stops."""
    how = "changes nothing" if order.dry_run or not plan.changes else "may change each of them"
    canaries, others = names[: order.canary], names[order.canary :]
    lines = [f"{plan.playbook.name} on {format_count(len(names), 'cluster')} of {inventory}; it {how}"]
    lines += [f"  first, one by one:  {', '.join(canaries)}"] if canaries else []
    beside = "one by one" if order.serial == 1 else f"{order.serial} at once"
    lines += [f"  then, {beside + ':':<13} {', '.join(others)}"] if others else []
    return [*lines, f"  none is begun after {format_count(order.max_failures, 'run')} that did not end well"]


def _agreed(order: FleetOrder, plan: Plan, names: list[str], person: Person) -> str:
    """How somebody agreed, or in a dry run would; empty where nobody needs to. Raises RefusedError where nobody did.

    The answer is the number of clusters, which nobody types without having read it.
    """
    if order.yes:
        return "by --yes"
    if order.dry_run or not plan.changes:
        return "at the terminal" if order.dry_run and person.terminal.attended else ""
    if person.choose("Type the number of clusters to begin:", (str(len(names)),)) is None:
        sentence = f"nobody agreed to {plan.playbook.name} on {format_count(len(names), 'cluster')}"
        raise RefusedError(Refusal("NotApproved", sentence, "Nothing was begun; at a terminal you are asked, or --yes"))
    return "at the terminal"


@dataclass(frozen=True)
class FleetShown:
    """The record first, then what is printed: a row for each cluster as it ends. ``where`` its run is, unless here."""

    record: FleetRecord
    output: Output
    bar: ProgressBar
    form: str
    names: list[str]
    where: str = ""

    def begun(self, clusters: Sequence[str]) -> None:
        self.record.begun(clusters)

    def has_record(self, cluster: str, run: str, folder: str) -> None:
        self.record.has_record(cluster, run, folder)

    def ended(self, result: ClusterRunResult) -> None:
        self.bar.advance()
        try:
            self.record.ended(result)
        finally:
            with self.bar.away():
                _print(self.output, result, self.form, max(map(len, self.names)), self.where)


def _print(output: Output, result: ClusterRunResult, form: str, width: int, where: str = "") -> None:
    if form == "json":
        output.json(result.to_dict())
        return
    took = format_seconds(result.seconds) if result.outcome != NOT_BEGUN else ""
    words = [f"{result.outcome:<{OUTCOME_WIDTH}}  {result.cluster:<{width}}  {took:>8}  {result.sentence}"]
    output.lines([*words, *([f"{'':<{OUTCOME_WIDTH}}  {where}runbook show {result.run}"] if _is_news(result) else [])])


def _is_news(result: ClusterRunResult) -> bool:
    return bool(result.run) and not result.ended_well


def _told(end: FleetEnd, record: FleetRecord, output: Output, form: str) -> int:
    """The rows of those that were not begun, and the line for the whole."""
    try:
        record.finish(end)
    except OSError as error:
        output.note(f"runbook: {error.filename}: {error.strerror}")
    width = max(len(result.cluster) for result in end.results)
    for result in end.results:
        if result.outcome == NOT_BEGUN:
            _print(output, result, form, width)
    counts = {outcome: sum(result.outcome == outcome for result in end.results) for outcome in OUTCOMES}
    fleet = record.told.fleet
    if form == "json":
        keys = {outcome.replace(" ", "_"): count for outcome, count in counts.items()}
        whole = {"fleet": fleet, "clusters": len(end.results), **keys, "stopped": end.stopped}
        output.json_text(json.dumps({**whole, "exit_code": end.exit_code}))
    else:
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
        why = f"; stopped as {end.stopped}" if end.stopped else ""
        count = format_count(len(end.results), "cluster")
        output.lines([f"{count}: {told}{why}", f"all of them on one page: runbook fleet report {fleet}"])
    return end.exit_code
