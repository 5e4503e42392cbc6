"""``raft.restore_snapshot``: the state of the whole cluster becomes that of a file, and all that came since is lost."""

from __future__ import annotations

from math import inf
from typing import IO, TYPE_CHECKING, Any

from runbook.errors import ClusterError, ErrorKind, RefusedError, StepError
from runbook.label import Label
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.raft.removal import Refusal
from runbook.steps.base import Step, StepResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runbook.by_hand import HandView, Instruction
    from runbook.raft.restoring import KeptSnapshot
    from runbook.steps.context import StepContext

RESTORE_SNAPSHOT = StepDeclaration(
    "raft.restore_snapshot",
    "Replace the cluster's state by that of a verified snapshot file, once the person at the terminal has agreed by "
    "typing the cluster's name. --yes is no answer to that.",
    Effect.CHANGE,
    parameters=(
        Field("path", "path", "the snapshot file, on this host", required=True),
        Field("sha256", "string", "the digest that it must have, as raft.snapshot and sha256sum tell it", default=""),
    ),
    results=(
        Field("index", "int", "the index up to which the snapshot holds the log"),
        Field("kept_at", "string", "when it was made, by its own word; empty where it does not say"),
        Field("sha256", "string", "its digest"),
        Field("index_before", "int", "where the newest log ended before; null where no server said so"),
        Field("index_after", "int", "where it ends now; it never falls"),
    ),
    observe="Only a value that you know tells: whether it is as in the snapshot, or as it was before.",
    shadow="Everything is asked as in a real run, the file is verified, and nothing is sent; the question is told.",
    example="""\
- uses: raft.snapshot                   # without a verified copy of the present it is refused
  with: { state: required }
- uses: raft.restore_snapshot
  with: { path: /var/backups/raft/raft-2026-11-26.snap }
""",
)

VERIFY = 600.0  # seconds for the digests of a file
AGREE = 180.0  # seconds until all servers have the new state and follow a leader
SUCCESSES, PAUSE = 3, 1.0  # looks in a row that must show it, and seconds between them
LOST = (ErrorKind.AMBIGUOUS, ErrorKind.TIMEOUT)


def restore_snapshot(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Nothing is sent twice in a run. Raises RefusedError, StepError for the file, and ClusterError."""
    from pathlib import Path

    from runbook.cluster.snapshot_file import opened_snapshot
    from runbook.raft.restoring import refusal_of_product
    from runbook.text import is_known, shown

    _refuse(refusal_of_product(context.cluster.name))
    if not is_known(arguments):
        return StepResult(f"would restore {shown(arguments['path'])}", {}, Label.UNKNOWN)
    _refuse_second_try(context)
    _refuse_without_copy(context)
    path = Path(arguments["path"])
    with opened_snapshot(path, arguments["sha256"], context.left(VERIFY)) as (file, kept):
        _wait_until_allowed(context, kept)
        name = context.cluster.name
        context.acquire(context.state.looks[-1])
        context.permit(context, f"Replace the state of {name} by {path}?", frozenset())
        question = (
            f"{path} holds {name} as of {kept}.\n"
            f"Everything written since {kept.kept_at or f'index {kept.index}'} is lost, on all servers. Type {name}:"
        )
        if context.choose(question, (name.lower(),)) is None:
            sentence = f"nobody agreed by typing {name} to lose what was written since {kept}"
            raise RefusedError(Refusal("NotAgreed", sentence, "Run it at a terminal; --yes is no answer to this"))
        before = _wait_until_allowed(context, kept)  # the person took their time

        def restore() -> StepResult:
            output = {"index": kept.index, "kept_at": kept.kept_at, "sha256": kept.sha256}
            if context.dry_run:
                return StepResult(f"would ask: {question}\nand send {kept.size} bytes", output, Label.UNKNOWN)
            after = _settle(context, kept, before, _send(context, file))
            told = f"the state is that of {kept}; the log ended at index {before}, and ends at {after} now"
            return StepResult(told, {**output, "index_before": before, "index_after": after})

        return context.change(context, (context.step, context.item), RESTORE_SNAPSHOT.name, restore)


def _refuse(reason: Refusal | None) -> None:
    if reason is not None:
        raise RefusedError(reason)


def _refuse_second_try(context: StepContext) -> None:
    """Of a request without an answer no look tells what became, and what was written after it would be lost too."""
    key = (context.step, context.item)
    if any((change.step, change.item) == key and change.state == "unsettled" for change in context.state.changes):
        sentence = "this run has sent a restore without an answer, and no look tells whether it was done"
        advice = f"Compare a value that you know; then resume with --answer {context.step}=done or =again"
        raise RefusedError(Refusal("CannotTell", sentence, advice))


def _refuse_without_copy(context: StepContext) -> None:
    """What is there now can be had again only from a copy; that of an earlier process may be hours old."""
    from runbook.files import sha256_of

    state, why = context.state, "no raft.snapshot before it has kept one"
    for place, uses in state.uses.items():
        output = state.outputs.get(place, {})
        if uses != "raft.snapshot" or not output.get("state_kept") or state.ends[place].generation != state.resumed:
            continue
        if context.dry_run:
            return
        try:
            if sha256_of(output["state_path"]) == output["state_sha256"]:
                return
            why = f"{output['state_path']} is not what was kept"
        except OSError as error:
            why = f"{output['state_path']}: {error.strerror}"
    sentence = f"this run has no verified state snapshot of the present: {why}"
    raise RefusedError(Refusal("NoCopy", sentence, "Run the playbook anew, with raft.snapshot, state: required, first"))


def _wait_until_allowed(context: StepContext, kept: KeptSnapshot) -> int | None:
    """Where the newest log ends in the look that allows it: one look may have missed somebody. Raises RefusedError."""
    from runbook.clock import wait
    from runbook.raft.restoring import VOTERS_MISSING, last_index, refusal_to_restore
    from runbook.steps.raft.looking import PATIENCE, QUORUM_EVERY, look_again

    reasons: list[Refusal | None] = []

    def decided() -> bool | None:
        reasons[:] = [refusal_to_restore(look_again(context), kept)]
        return None if reasons[0] is not None and reasons[0].code == VOTERS_MISSING else True

    wait(context.clock, decided, every=lambda _waited, _held: QUORUM_EVERY, within=context.left(PATIENCE))
    _refuse(reasons[0])
    return last_index(context.state.looks[-1])


def _send(context: StepContext, file: IO[bytes]) -> ClusterError | None:
    """Nothing, or why the answer leaves open whether it was done. Raises ClusterError where nothing surely was."""
    from runbook.cluster.port import restoring

    try:
        restoring(context.cluster).restore_state(file, within=context.left(inf))
    except ClusterError as error:
        if error.kind not in LOST:
            raise
        return error
    return None


def _settle(context: StepContext, kept: KeptSnapshot, before: int | None, trouble: ClusterError | None) -> int | None:
    """Where the newest log ends, once all servers agree. Raises where they do not, or where its answer was lost."""
    from runbook.clock import wait
    from runbook.raft.restoring import agrees, last_index

    def settled() -> bool | None:
        return agrees(context.look(), kept, None if trouble else before) or None

    within = context.left(AGREE)
    agreed = wait(context.clock, settled, every=lambda *_: PAUSE, within=within, successes=SUCCESSES)
    view = context.state.looks[-1]
    after = last_index(view)
    how = "all servers agree" if agreed else f"the servers do not agree after {within:g} s"
    how += f" ({view.error_text})" if view.error_text else ""
    if trouble is not None:
        what = f"{trouble.sentence}; {how}, and the log ends at {after} after {before}: it may have been restored"
        raise ClusterError(ErrorKind.AMBIGUOUS, what, "Compare a value that you know, then resume this run: it asks")
    if not agreed:
        what = f"the snapshot was restored, and {how}; does it hold the token of this run?"
        raise StepError(ErrorKind.UNEXPECTED, what, "Run runbook diagnose; the copy of the state before is in this run")
    return after


def restore_by_hand(view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """By the product's own command, once a copy of the present is kept."""
    from runbook.by_hand import Instruction, in_words, shell_word
    from runbook.raft.product_commands import RESTORE
    from runbook.raft.removal_by_hand import product_of

    path, product = arguments["path"], product_of(view)
    if view.kind not in RESTORE:
        yield Instruction(f"{product.title} restores {in_words(path)} only with its members stopped.")
        return
    yield Instruction("Keep a copy of what is there now, and look at it.", (product.tools[0].save,))
    text = f"Everything written since {in_words(path)} was made is lost. Restore it only where that is meant."
    yield Instruction(text, (RESTORE[view.kind].format(shell_word(path)),))


STEPS = (Step(RESTORE_SNAPSHOT, restore_snapshot, restore_by_hand),)
