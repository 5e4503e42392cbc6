"""``raft.snapshot``: evidence of how things were, before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING, Any

from runbook.dataclass import dataclass
from runbook.errors import ClusterError, ErrorKind
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import PEER_FIELDS, Step, StepResult

if TYPE_CHECKING:
    from pathlib import Path

    from runbook.by_hand import HandView, Instruction
    from runbook.raft.model import ClusterView, Configuration
    from runbook.steps.context import StepContext

TRIES, PAUSE = 3, 2.0  # for what passes by itself, as a change that is just being applied; seconds between them
PASSES = (ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT, ErrorKind.UNREACHABLE)

SNAPSHOT = StepDeclaration(
    "raft.snapshot",
    "Keep the configuration of every reachable server, and the cluster's own state snapshot with its digest verified.",
    Effect.READ,
    parameters=(
        Field(
            "state",
            "enum",
            "whether a state snapshot is required, wanted where the cluster can give one, or none is taken",
            default="wanted",
            choices=("required", "wanted", "none"),
        ),
        Field("to", "path", "a file for the state snapshot, outside of the folder of the run"),
    ),
    results=(
        Field("voters", "int", "voters in the leader's configuration"),
        Field("quorum", "int", "how many of them must agree"),
        Field("tolerance", "int", "how many more may fail"),
        Field("leader", "string", "id of the leader"),
        Field("peers", "list", "every peer, with the verdict of the run so far", items=(*PEER_FIELDS, "verdict")),
        Field("fingerprint", "string", "what is compared just before a change: id, address and vote of every peer"),
        Field("path", "string", "the file that holds the configuration of every reachable server"),
        Field("sha256", "string", "its digest"),
        Field("state_kept", "bool", "whether a state snapshot was kept"),
        Field("state_path", "string", "the file of the state snapshot; empty where none was kept"),
        Field("state_sha256", "string", "its whole digest; empty where none was kept"),
        Field("state_trouble", "string", "why none was kept; else empty"),
    ),
    observe="It changes nothing.",
    shadow="It is done as in a real run, but for a file outside of the run's folder: it is kept inside.",
    example="""\
- id: before
  uses: raft.snapshot       # snapshot.json and state.snap are in the folder of this run
  with: { state: required } # without one, nothing else is done
- uses: log.message
  with: { text: "${{ before.voters }} voters, and ${{ before.tolerance }} more may fail" }
""",
)


@dataclass(frozen=True)
class SavedState:
    """The cluster's own state snapshot: where it is and its SHA-256 (hex), or why there is none."""

    path: str = ""
    sha256: str = ""
    trouble: str = ""

    def __str__(self) -> str:
        return f"{self.path.rpartition('/')[2]} kept, SHA-256 {self.sha256[:12]}…" if self.sha256 else self.trouble


def keep_snapshot(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Keep every reachable server's configuration, and the state snapshot where the cluster can give one.

    Without a leader the step fails, with all that could be kept.
    """
    from runbook.raft.quorum import quorum
    from runbook.steps.raft.looking import peer_item, require_leader_configuration, tolerance

    view = context.look()
    path, digest = write_evidence(context, view)
    if view.leader_id is None or view.configuration is None:
        _keep_without_leader(context, view, path, arguments["state"])
    configuration = require_leader_configuration(view)
    state = _save_state(context, arguments["state"], arguments["to"])
    voters = len(configuration.voters)
    output = {
        "voters": voters,
        "quorum": quorum(voters),
        "tolerance": tolerance(view),
        "leader": view.leader_id,
        "peers": [peer_item(verdict) for verdict in context.state.verdicts().values()],
        "fingerprint": sorted(map(list, configuration.fingerprint)),
        "path": str(path),
        "sha256": digest,
        "state_kept": bool(state.sha256),
        "state_path": state.path,
        "state_sha256": state.sha256,
        "state_trouble": state.trouble,
    }
    message = f"{voters} voters, quorum {quorum(voters)}, failure tolerance {output['tolerance']}; {state}"
    return StepResult(message, output)


def _mark(context: StepContext) -> str:
    """Behind the names of the files of each such step but the first, whose evidence stays as it is."""
    uses = context.state.uses
    earlier = [place for place in uses if uses[place] in ("raft.snapshot", "raft.collect_survivors")]
    number = earlier.index(context.step) if context.step in earlier else len(earlier)
    return f".{number + 1}" if number else ""


def _keep_without_leader(context: StepContext, view: ClusterView, path: Path, wanted: str) -> None:
    """Raises the ClusterError that says what is wrong, and what was kept: an old state is better than none."""
    from runbook.steps.raft.looking import require_leader_configuration

    servers = sum(vantage.configuration is not None for vantage in view.vantages)
    stale = context.folder / f"state{_mark(context)}.snap"
    state = SavedState(trouble="") if stale.exists() or not view.answering else _save_state(context, wanted)
    kept = f"{path.name} holds what {servers} of the servers hold"
    kept += f"; {state}, from a server that has no leader" if state.sha256 else ""
    try:
        require_leader_configuration(view)
    except ClusterError as error:
        raise ClusterError(error.kind, error.sentence, f"{error.next_action} ({kept})".strip()) from None


def _save_state(context: StepContext, wanted: str, to: str | None = None) -> SavedState:
    """A cluster too ill to give its state is the one that needs this run most, so its absence is told and borne, unless
    it is required. Raises ClusterError.
    """
    if wanted == "none":
        return SavedState(trouble="no state snapshot: the playbook wants none")
    wanted_path = path = context.folder / f"state{_mark(context)}.snap"
    if to is not None:
        from runbook.steps.files import writable_path

        wanted_path = writable_path(context.folder, to)
        path = path if context.dry_run else wanted_path  # a dry run writes into its own folder alone
    for tries_left in reversed(range(TRIES)):
        try:
            digest = context.cluster.save_state(path, within=context.left(inf))
            context.files.write(wanted_path)
            return SavedState(str(wanted_path), digest)
        except ClusterError as error:
            path.unlink(missing_ok=True)
            trouble = error
            if error.kind not in PASSES or not tries_left:
                break
        except OSError as error:
            path.unlink(missing_ok=True)  # a full disk must be left with room for the journal
            trouble = ClusterError(ErrorKind.UNEXPECTED, f"{path}: {error.strerror}")
            break
        context.clock.sleep(PAUSE)
    if wanted == "required":
        raise ClusterError(
            trouble.kind, f"no state snapshot, and one is required: {trouble.sentence}", trouble.next_action
        )
    return SavedState(trouble=f"no state snapshot: {trouble}")


def write_evidence(context: StepContext, view: ClusterView) -> tuple[Path, str]:
    """Evidence, and the material for a peers.json should quorum be lost for good: the file, and its digest."""
    import hashlib
    import json

    from runbook.files import replace_file

    held = {
        "leader": view.leader_id,
        "configuration": _as_data(view.configuration),
        "servers": [
            {"url": v.url, "id": v.server_id, "configuration": _as_data(v.configuration)} for v in view.vantages
        ],
    }
    path, data = context.folder / f"snapshot{_mark(context)}.json", json.dumps(held, indent=1).encode()
    replace_file(path, data)
    return path, hashlib.sha256(data).hexdigest()


def _as_data(configuration: Configuration | None) -> dict[str, Any] | None:
    from dataclasses import asdict

    return asdict(configuration) if configuration else None


def save_by_hand(view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """The configuration, and the state in a file."""
    from runbook.by_hand import Instruction
    from runbook.raft import removal_by_hand

    yield Instruction("Keep what these print: the configuration as it is now.", removal_by_hand.look_by_hand(view))
    if arguments["state"] != "none":
        yield Instruction("Save the cluster's state into a file, before anything is touched:")
        yield from removal_by_hand.save_by_hand(view)


STEPS = (Step(SNAPSHOT, keep_snapshot, save_by_hand),)
