"""A plan on disk: what a run would do, decided beforehand, with all that it was decided on and the digest over it.

The digest is of everything else in the file. It shows that nothing was changed by accident or by hand; that nobody made
another plan is for the signatures to show, which are of this digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, field, replace
from datetime import datetime
from typing import Any

from runbook.dataclass import dataclass
from runbook.errors import NotStartedError
from runbook.raft.liveness import Liveness
from runbook.raft.plan_basis import PlanBasis
from runbook.raft.quorum import failure_tolerance, quorum

FORMAT_KEY, FORMAT = "runbook_plan", 1
LARGEST = 4 * 1024 * 1024  # bytes of a plan
REMOVES, TRANSFERS = "raft.remove_peer", "raft.transfer_leadership"
LONGEST = 1e9  # seconds that a plan may take
_VERDICTS = frozenset(liveness.value for liveness in Liveness)
_ODD = (KeyError, IndexError, TypeError, AttributeError, ValueError, RecursionError)


@dataclass(frozen=True)
class QuorumProof:
    """Why one removal is safe when its turn comes: the voters before and after it, what a quorum of those left is, and
    how many of them live and are in contact with the leader.
    """

    voters_before: int
    voters_after: int
    quorum_after: int
    live_after: int
    tolerance_after: int


@dataclass(frozen=True)
class PlannedRequest:
    """One changing request, in its turn: of the step ``step``, of this ``item`` of its for_each (from 0).

    ``peer``, ``name`` and ``address`` are whom it takes out; of a transfer, to whom it goes, where that is known.
    """

    step: str
    item: int | None
    uses: str
    peer: str = ""
    name: str = ""
    address: str = ""
    proof: QuorumProof | None = None

    def __str__(self) -> str:
        place = self.step if self.item is None else f"{self.step}.{self.item + 1}"
        if self.uses == REMOVES:
            return f"remove {self.name} ({self.address}), by step {self.step}"
        return f"{self.uses}{f' to {self.name}' if self.name else ''}, by step {place}"


@dataclass(frozen=True)
class SeenServer:
    """One server of the configuration as the plan's last look showed it. ``verdict`` is alive, dead or unknown."""

    id: str
    address: str
    name: str
    voter: bool
    verdict: str
    in_contact: bool
    evidence: str = ""


@dataclass(frozen=True)
class PlannedStep:
    """How one step would end: ``outcome`` is completed, failed or skipped, ``label`` live, simulated or unknown.

    ``said``: the digest of what a command or a request that was made said (:func:`digest_of_words`).
    """

    step: str
    uses: str
    outcome: str
    label: str
    message: str
    said: str = ""


@dataclass(frozen=True)
class SavedPlan:
    """Everything that was decided beforehand. Times are ISO 8601.

    ``playbooks`` has the SHA-256 of each playbook that is run, by its path, the outermost first; ``playbook`` is that
    one's path, or the name of a shipped one. ``cluster`` is its name as records have it, ``identities`` are what it
    is known by, ``inventory`` is the file that names it. ``leader`` is an id, empty where nobody led. ``run`` is the
    dry run that it was made by. ``approvals`` tell whose signatures it needs. ``outcome`` is the foreseen end in words,
    ``servers_after`` who would be in the configuration then, ``seconds`` how long it would take, and up to ``waits``
    more for the world. ``asked`` is what the real run asks for and what it would be told now, ``unknown`` what could
    not be foreseen, by step.
    """

    created: str
    expires: str
    by: str
    version: str
    run: str
    playbook: str
    playbooks: Mapping[str, str]
    params: Mapping[str, Any]
    cluster: str
    identities: tuple[str, ...]
    inventory: str
    leader: str
    term: int | None
    quorum_proof: str
    servers: tuple[SeenServer, ...]
    requests: tuple[PlannedRequest, ...]
    steps: tuple[PlannedStep, ...]
    outcome: str
    servers_after: tuple[str, ...]
    seconds: float
    waits: float
    unknown: Mapping[str, str]
    asked: Mapping[str, str]
    approvals: tuple[str, ...] = ()
    digest: str = field(default="", compare=False)

    @property
    def removals(self) -> frozenset[str]:
        """The ids of the peers that are to go."""
        return frozenset(request.peer for request in self.requests if request.uses == REMOVES)

    @property
    def basis(self) -> PlanBasis:
        """What it was made on, as each removal is compared with."""
        peers = frozenset((server.id, server.address, server.voter) for server in self.servers)
        return PlanBasis(self.leader, self.term, peers, self.removals)

    @property
    def asks_cluster(self) -> bool:
        """Whether any request of it may go to the cluster itself."""
        return any(request.uses.startswith("raft.") for request in self.requests)

    def name_of(self, peer_id: str) -> str:
        """As the plan calls it."""
        return next((server.name for server in self.servers if server.id == peer_id), peer_id)

    def expired(self, now: str) -> bool:
        """Whether its time is over at this moment (ISO 8601)."""
        return datetime.fromisoformat(now) >= datetime.fromisoformat(self.expires)


def digest_of_words(output: Any) -> str:
    """Of a step's output, without the headers of an answer: they are of their moment."""

    def lasting(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: lasting(each) for key, each in value.items() if key != "headers"}
        return [lasting(each) for each in value] if isinstance(value, list | tuple) else value

    return _digest({"output": lasting(output)})


def prove_removals(servers: Iterable[SeenServer], requests: Iterable[PlannedRequest]) -> tuple[PlannedRequest, ...]:
    """The same requests, each removal with its numbers, as they are when its turn comes."""
    left, proven = {server.id: server for server in servers}, []
    for request in requests:
        gone = left.pop(request.peer, None) if request.uses == REMOVES else None
        if gone is not None:
            voters = [server for server in left.values() if server.voter]
            live = sum(server.verdict == "alive" and server.in_contact for server in voters)
            after = len(voters)
            numbers = (after + gone.voter, after, quorum(after), live, failure_tolerance(after, live))
            proven.append(replace(request, proof=QuorumProof(*numbers)))
        else:
            proven.append(request)
    return tuple(proven)


# -- to text and back


def plan_text(plan: SavedPlan) -> bytes:
    """The file, with the digest of all the rest."""
    data = _data(plan)
    return f"{json.dumps({**data, 'digest': _digest(data)}, ensure_ascii=False, indent=1)}\n".encode()


def is_plan(data: bytes) -> bool:
    """Whether it claims to be one, whole or not."""
    return data.lstrip()[:1] == b"{" and f'"{FORMAT_KEY}"'.encode() in data[:200]


def read_plan(data: bytes, place: str) -> SavedPlan:
    """The plan in these bytes of the file ``place``, with its digest. Raises NotStartedError, whatever they are."""

    def odd(why: str) -> NotStartedError:
        return NotStartedError(f"{place} {why}", "Make the plan anew with runbook plan")

    if len(data) > LARGEST:
        raise odd(f"has more than {LARGEST // 1024**2} MiB, and no plan has")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise odd("is no JSON, as of a file that was cut off, or is no plan") from None
    if not isinstance(found, dict) or FORMAT_KEY not in found:
        raise odd("is not what runbook plan writes")
    if found[FORMAT_KEY] != FORMAT:
        was = str(found[FORMAT_KEY])[:20]
        raise odd(f"is of format {was}, and this version of runbook reads {FORMAT}")
    digest = str(found.pop("digest", ""))[:64]
    try:
        now = _digest(found)
    except _ODD:
        raise odd("is not what runbook plan writes") from None
    try:
        if now != digest:
            why = f"was changed after it was made: its digest is {now[:12]}…, and {digest[:12] or 'none'}… stands in it"
            raise odd(why)
        plan = replace(_parse(found), digest=digest)
        as_written = plan_text(plan) == data
    except _ODD:
        raise odd("is not what runbook plan writes, though its digest is right") from None
    if not as_written:
        raise odd("was changed after it was made: its text is not what runbook plan writes")
    return plan


def _data(plan: SavedPlan) -> dict[str, Any]:
    data = asdict(plan)
    del data["digest"]
    return {FORMAT_KEY: FORMAT, **data}


def _digest(data: Mapping[str, Any]) -> str:
    """Of what it says and in which order: the first of its playbooks is the outermost."""
    canonical = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _parse(found: Mapping[str, Any]) -> SavedPlan:
    """Raises one of _ODD."""
    rows = {key: each for key, each in found.items() if key != FORMAT_KEY}
    rows["servers"] = tuple(SeenServer(**row) for row in found["servers"])
    rows["steps"] = tuple(PlannedStep(**row) for row in found["steps"])
    rows["requests"] = tuple(_request(row) for row in found["requests"])
    for name in ("identities", "servers_after", "approvals"):
        rows[name] = tuple(map(_text, found[name]))
    for name in ("playbooks", "unknown", "asked"):
        rows[name] = {_text(key): _text(word) for key, word in found[name].items()}
    plan = SavedPlan(**rows)
    for name in ("by", "version", "run", "playbook", "cluster", "inventory", "leader", "outcome", "quorum_proof"):
        _text(getattr(plan, name))
    for each in (*plan.servers, *plan.steps, *plan.requests):
        for word in (value for key, value in vars(each).items() if key not in ("voter", "in_contact", "item", "proof")):
            _text(word)
    for moment in (plan.created, plan.expires):
        if datetime.fromisoformat(moment).tzinfo is None:
            raise ValueError("no time zone")
    good = (
        plan.term is None or _is_count(plan.term),
        isinstance(plan.params, dict),
        plan.playbooks and not any("\0" in path for path in (*plan.playbooks, plan.playbook, plan.inventory)),
        all(server.verdict in _VERDICTS for server in plan.servers),
        all(_is_of(request, plan.servers) for request in plan.requests if request.uses == REMOVES),
        all(type(flag) is bool for server in plan.servers for flag in (server.voter, server.in_contact)),
        all(type(time) in (int, float) and 0 <= time < LONGEST for time in (plan.seconds, plan.waits)),
    )
    if not all(good):
        raise TypeError("another form")
    return plan


def _is_of(request: PlannedRequest, servers: tuple[SeenServer, ...]) -> bool:
    """Whether the name and the address that people read are those of the id by which the cluster is asked."""
    whom = (request.name, request.address)
    return all(whom == (server.name, server.address) for server in servers if server.id == request.peer)


def _request(row: Mapping[str, Any]) -> PlannedRequest:
    proof = None if row["proof"] is None else QuorumProof(**row["proof"])
    counts = [row["item"], *(vars(proof).values() if proof else ())]
    if not all(count is None or _is_count(count) for count in counts):
        raise TypeError("no count")
    return PlannedRequest(**{**row, "proof": proof})


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
