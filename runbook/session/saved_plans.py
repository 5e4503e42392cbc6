"""Plans as files: made of a dry run, read back, and compared with what is asked for now."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from runbook import __version__
from runbook.cluster.held import HeldCluster
from runbook.cluster.port import Cluster
from runbook.dataclass import dataclass
from runbook.errors import NotStartedError, RefusedError
from runbook.files import read_limited, replace_file, sha256_of
from runbook.label import Label
from runbook.playbook.approval_rule import ApprovalRule
from runbook.playbook.model import Playbook
from runbook.playbook.params import ParamsFile, gather_params
from runbook.playbook.types import format_duration
from runbook.raft.removal import Refusal
from runbook.redaction import HIDDEN
from runbook.run_state import RunState
from runbook.saved_plan import (
    LARGEST,
    REMOVES,
    TRANSFERS,
    PlannedRequest,
    PlannedStep,
    SavedPlan,
    SeenServer,
    digest_of_words,
    plan_text,
    prove_removals,
    read_plan,
)

FOREIGN = ("command.run", "ssh.run", "http.request")
Records = Sequence[Mapping[str, Any]]
ENDS = {"step.completed": "completed", "step.failed": "failed", "step.skipped": "skipped"}
OR_ANEW = "make a new plan, and have it approved where that is asked for"
ANEW = f"M{OR_ANEW[1:]}"


@dataclass(frozen=True)
class HeldPlan:
    """A plan that a run is held to. Beside ``path`` lie its signatures."""

    path: Path
    plan: SavedPlan

    @property
    def text(self) -> bytes:
        """As it is kept in the folder of the run."""
        return plan_text(self.plan)

    def cluster(self, cluster: Cluster) -> Cluster:
        """The same, with a door at which only the changes of the plan pass."""
        return HeldCluster(cluster, self.plan)

    def on_record(self) -> dict[str, str]:
        """What the first event of the run says of it."""
        return {"digest": self.plan.digest, "file": str(self.path)}


def load_plan(given: str | Path) -> HeldPlan:
    """Raises NotStartedError where it is no plan, or not as it was made."""
    path = Path(given).absolute()
    try:
        return HeldPlan(path, read_plan(read_limited(path, LARGEST), str(path)))
    except OSError as error:
        raise NotStartedError(f"{path} cannot be read: {error.strerror}", "Make a plan with runbook plan") from None


def save_plan(path: Path, plan: SavedPlan) -> None:
    """Whole, or as it was. Raises NotStartedError."""
    try:
        replace_file(path, plan_text(plan))
    except OSError as error:
        raise NotStartedError(f"{path} cannot be written: {error.strerror}", "Name another file with -o") from None


# -- made of a dry run


@dataclass(frozen=True)
class PlanTerms:
    """What a plan is bound to beside what the dry run saw. ``seconds`` are those until it expires."""

    playbook: str
    inventory: str
    rules: tuple[ApprovalRule, ...]
    seconds: float
    now: str


def plan_of_run(state: RunState, records: Records, terms: PlanTerms) -> SavedPlan:
    """Of a dry run that has come to a good end. Raises NotStartedError where a param holds a secret."""
    started, told, ended = state.started or {}, state.foreseen or {}, state.ended or {}
    hidden = [name for name, value in started["params"].items() if HIDDEN in str(value)]
    if hidden:
        what = f"param {hidden[0]} holds a secret, which no plan keeps"
        raise NotStartedError(what, "Name where it is fetched from under secrets: of the playbook")
    seen = told.get("seen") or {}
    servers = tuple(sorted((SeenServer(**row) for row in seen.get("servers", ())), key=lambda each: each.name))
    created = datetime.fromisoformat(terms.now).replace(microsecond=0)
    names = {str(peer["id"]): str(peer["name"]) for peer in told["peers"]}
    plan = SavedPlan(
        created=created.isoformat(),
        expires=(created + timedelta(seconds=terms.seconds)).isoformat(),
        by=str(started["who"]),
        version=__version__,
        run=str(started["run"]),
        playbook=terms.playbook,
        playbooks=_playbooks(started, records),
        params=started["params"],
        cluster=str(started["cluster"]),
        identities=tuple(seen.get("identities", ())),
        inventory=terms.inventory,
        leader=seen.get("leader") or "",
        term=seen.get("term"),
        quorum_proof=seen.get("quorum_proof") or "",
        servers=servers,
        requests=prove_removals(servers, _requests(records, servers)),
        steps=tuple(_steps(records)),
        outcome=str(ended.get("message", "")),
        servers_after=tuple(sorted(names.values())),
        seconds=float(told["seconds"]),
        waits=float(told["waits"]),
        unknown=told["unknown"],
        asked=told["asked"],
        approvals=tuple(_rule(rule) for rule in terms.rules),
    )
    return read_plan(plan_text(plan), "the new plan")  # as everybody will read it, with its digest


def _playbooks(started: Mapping[str, Any], records: Records) -> dict[str, str]:
    within = {str(record["path"]): str(record["digest"]) for record in records if record["kind"] == "playbook.entered"}
    return {str(started["path"]): str(started["digest"]), **within}


def _requests(records: Records, servers: tuple[SeenServer, ...]) -> list[PlannedRequest]:
    """In the order in which they would leave; each once, however many attempts a real run makes at it."""
    found: dict[tuple[Any, ...], PlannedRequest] = {}
    for record in records:
        if record["kind"] == "removal.would_be_requested":
            whom = (str(record["peer"]), str(record["name"]), str(record["address"]))
            whom = next(((each.id, each.name, each.address) for each in servers if each.id == whom[0]), whom)
            found.setdefault((REMOVES, whom[0]), PlannedRequest(str(record["step"]), None, REMOVES, *whom))
        elif record["kind"] == "change.would_begin" and record["label"] != Label.UNKNOWN.value:
            place = str(record["step"]), record["item"]
            found.setdefault(place, PlannedRequest(*place, str(record["uses"])))
        elif record["kind"] == "step.completed" and (str(record["step"]), None) in found:
            place = str(record["step"]), None
            found[place] = _with_leader(found[place], record["output"], servers)
    return list(found.values())


def _with_leader(request: PlannedRequest, output: Mapping[str, Any], servers: tuple[SeenServer, ...]) -> PlannedRequest:
    """Of a transfer: to whom it would go, where that is foreseen."""
    to = [server for server in servers if request.uses == TRANSFERS and server.name == output.get("leader")]
    return replace(request, peer=to[0].id, name=to[0].name, address=to[0].address) if to else request


def _steps(records: Records) -> list[PlannedStep]:
    uses = {record["step"]: str(record["uses"]) for record in records if record["kind"] == "step.started"}
    return [
        PlannedStep(
            str(record["step"]),
            uses.get(record["step"], ""),
            str(record.get("outcome") or ENDS[record["kind"]]),
            str(record.get("label", "")),
            str(record["message"]),
            digest_of_words(record["output"]) if _was_made(record, uses) else "",
        )
        for record in records
        if record["kind"] in ENDS
    ]


def _was_made(record: Mapping[str, Any], uses: Mapping[str, str]) -> bool:
    """Whether the dry run has asked others than the cluster, so that changes may hang on what they said."""
    return record["kind"] == "step.completed" and record.get("label") == "live" and uses.get(record["step"]) in FOREIGN


def _rule(rule: ApprovalRule) -> str:
    who = f"{rule.count} {'person' if rule.count == 1 else 'people'} of {rule.by}"
    others = ", not whoever executes it" if rule.not_self else ""
    return f"{who}{others}, by signatures no older than {format_duration(rule.within)}"


# -- compared with what is asked for now


def refuse_other_text(held: HeldPlan, text: bytes) -> None:
    """Where this text of the playbook, or one that it runs, is another than the plan's. Raises RefusedError."""
    (path, digest), *within = held.plan.playbooks.items()
    found = [(path, digest, hashlib.sha256(text).hexdigest())]
    for path, digest in within:
        try:
            found.append((path, digest, sha256_of(path)))
        except OSError as error:
            found.append((path, digest, f"({error.strerror})"))
    told = [
        f"the playbook {path} has the SHA-256 {now[:12]}… now and {then[:12]}… in the plan"
        for path, then, now in found
        if now != then
    ]
    if told:
        raise RefusedError(Refusal("PlanMoved", "; ".join(told), ANEW))


def refuse_other_params(
    held: HeldPlan, playbook: Playbook, typed: Mapping[str, str], file: ParamsFile, hide: Callable[[str], str]
) -> None:
    """What is given must be what the plan has; ``hide`` knows a secret in it. Raises RefusedError and ParamError."""
    names = typed.keys() | file.values.keys()
    asked = tuple(param for param in playbook.params if param.name in names)
    known = len(asked) == len(names)
    found = gather_params(replace(playbook, params=asked) if known else playbook, typed, file)
    planned = held.plan.params
    told = [
        hide(f"param {name} is {param.value} now and {planned.get(name)} in the plan")
        for name, param in found.items()
        if param.value != planned.get(name)
    ]
    if told:
        raise RefusedError(Refusal("PlanMoved", "; ".join(told), f"Leave them out; or {OR_ANEW}"))
