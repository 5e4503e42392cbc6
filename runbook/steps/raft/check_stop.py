"""``raft.check_stop``: may this server be stopped now, without the cluster losing its quorum?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from runbook.errors import RefusedError
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Step, StepResult

if TYPE_CHECKING:
    from runbook.by_hand import HandView, Instruction
    from runbook.raft.removal import Refusal
    from runbook.raft.stopping import StopProof
    from runbook.steps.context import StepContext

CHECK_STOP = StepDeclaration(
    "raft.check_stop",
    "Prove that one server may be stopped for a while, as for a reboot, or refuse with the numbers.",
    Effect.READ,
    parameters=(
        Field("server", "string", "its name, with or without its region, its id or its address", required=True),
        Field("spare", "int", "how many more voters must be able to fail while it is away", default=0, min=0),
    ),
    results=(
        Field("server", "string", "its name in the configuration"),
        Field("leads", "bool", "whether it leads: then another is elected when it stops"),
        Field("tolerance", "int", "how many more voters may fail while it is away"),
    ),
    observe="It changes nothing.",
    shadow="It is decided as in a real run.",
    example="""\
- uses: raft.check_stop
  with: { server: s2 }      # refused, with exit code 3, while the others are too few
- uses: ssh.run
  with: { host: s2, argv: [sudo, systemctl, restart, nomad] }
""",
)


def check_stop(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Looks again for a while before it refuses: one look may have missed somebody. Raises RefusedError."""
    from runbook.clock import wait
    from runbook.raft.removal import Refusal
    from runbook.raft.stopping import WOULD_LOSE_QUORUM, may_stop
    from runbook.steps.raft.looking import PATIENCE, QUORUM_EVERY, look_again

    decided: list[StopProof | Refusal] = []

    def allowed() -> bool | None:
        decided[:] = [may_stop(look_again(context), arguments["server"], spare=arguments["spare"])]
        newest = decided[0]
        return None if isinstance(newest, Refusal) and newest.code == WOULD_LOSE_QUORUM else True

    wait(context.clock, allowed, every=lambda _waited, _held: QUORUM_EVERY, within=context.left(PATIENCE))
    proof = decided[0]
    if isinstance(proof, Refusal):
        raise RefusedError(proof)
    leads = "; it leads, so another is elected when it stops" if proof.leads else ""
    told = (
        f"{proof.peer.label} may be stopped: {proof.live} of {proof.voters} voters are alive and in contact with the "
        f"leader without it, {proof.needed} are needed{leads}"
    )
    return StepResult(told, {"server": proof.peer.label, "leads": proof.leads, "tolerance": proof.tolerance})


def check_stop_by_hand(view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """The numbers without it."""
    from runbook.by_hand import Instruction, in_words
    from runbook.raft import removal_by_hand

    yield Instruction(
        f"Without {in_words(arguments['server'])} the voters that are alive must still be more than half of all, with "
        f"{in_words(arguments['spare'])} to spare. If they are not, do not stop it.",
        removal_by_hand.look_by_hand(view),
    )


STEPS = (Step(CHECK_STOP, check_stop, check_stop_by_hand),)
