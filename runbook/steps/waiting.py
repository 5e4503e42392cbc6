"""``wait.for``, ``wait.until`` and ``wait.for_port``: let time pass, or until the cluster or a port is as wanted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from runbook.doors import check_network
from runbook.label import Label
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.playbook.types import format_duration
from runbook.steps.base import Step, StepResult

if TYPE_CHECKING:
    from runbook.by_hand import HandView, Instruction
    from runbook.steps.context import StepContext

SLICE = 10.0  # seconds: as long as a person looks at a line that does not move

WAIT_FOR = StepDeclaration(
    "wait.for",
    "Let time pass. Where something can be looked at instead, wait.until is better.",
    Effect.READ,
    parameters=(
        Field("duration", "duration", "how long", required=True, min=0, max=86400.0),
        Field("reason", "string", "what for, as it is told meanwhile", default="as the playbook says"),
    ),
    observe="There is nothing to tell: time that has passed has passed.",
    shadow="It is told how long would be waited, and it takes no time.",
    parallel=True,
    example="""\
- uses: wait.for
  with:
    duration: 70s           # every wait has an end, and this one is told every ten seconds
    reason: "the leader reconciles once a minute"
""",
)


def wait_for(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """In slices, each told. Raises StepError at once where the step's own time is shorter."""
    from runbook.errors import ErrorKind, StepError
    from runbook.events import Waiting

    seconds = arguments["duration"]
    if seconds is UNKNOWN:
        return StepResult("would wait", {}, Label.UNKNOWN)
    if context.left(max(seconds, 0.001)) < seconds:
        what = f"a wait of {format_duration(seconds)} is longer than what is left of the step's time"
        raise StepError(ErrorKind.TIMEOUT, what, "Give the step a longer timeout, or wait less")
    until = context.clock.monotonic() + seconds
    while (left := until - context.clock.monotonic()) > 0:
        context.emit(Waiting(context.step, round(left, 1), arguments["reason"], round(seconds - left, 1), seconds))
        context.clock.sleep(left if context.dry_run else min(SLICE, left))
    return StepResult(f"{'would wait' if context.dry_run else 'waited'} {format_duration(seconds)}", {})


WAIT_UNTIL = StepDeclaration(
    "wait.until",
    "Look at the cluster and say what is there. With until, every and within on the step it looks again and again.",
    Effect.READ,
    results=(
        Field("leader", "string", "the leader's name, or null where there is none"),
        Field("voters", "int", "voters in the configuration; 0 where no server answers"),
        Field("alive", "int", "how many of them are alive by this look"),
        Field("quorum", "int", "how many must agree"),
        Field("tolerance", "int", "how many more may fail"),
    ),
    observe="It changes nothing.",
    shadow="It looks at the shadow. What only the world could make so is not waited for, and is unknown.",
    example="""\
- id: cluster
  uses: wait.until          # one look; "until: result.leader != null" and "within: 1m" make it wait
- uses: assert
  with:
    that: "${{ cluster.alive >= cluster.quorum }}"
    else: "only ${{ cluster.alive }} of ${{ cluster.voters }} voters are alive"
""",
)


def wait_until(context: StepContext, _arguments: dict[str, Any]) -> StepResult:
    """Never fails for a cluster that is ill: that is what is being waited for."""
    from runbook.raft.liveness import Liveness, judge_once
    from runbook.raft.quorum import failure_tolerance, quorum

    view = context.look()
    seen = view.best_configuration
    voters = seen.voters if seen else ()
    alive = sum(judge_once(view, peer).liveness is Liveness.ALIVE for peer in voters)
    leader = seen.peer(view.leader_id) if seen and view.leader_id else None
    output = {
        "leader": leader.label if leader else None,
        "voters": len(voters),
        "alive": alive,
        "quorum": quorum(len(voters)) if voters else 0,
        "tolerance": failure_tolerance(len(voters), alive) if voters else 0,
    }
    return StepResult(f"{alive} of {len(voters)} voters alive, leader {leader.label if leader else 'none'}", output)


WAIT_FOR_PORT = StepDeclaration(
    "wait.for_port",
    "Wait until a TCP port takes a connection. That says that something listens, and not that it is well.",
    Effect.READ,
    parameters=(
        Field("host", "string", "its name or address", required=True),
        Field("port", "int", "the port", required=True, min=1, max=65535),
        Field("within", "duration", "how long it may take", default=60.0, min=0.001, max=86400.0),
        Field("every", "duration", "the pause before it is tried again", default=1.0, min=0.01),
    ),
    results=(Field("seconds", "float", "how long it took"),),
    observe="It changes nothing.",
    shadow="It is tried once, for real. Where it does not listen, that is not waited for, and is unknown.",
    example="""\
- uses: wait.for_port
  with:
    host: 10.0.0.11
    port: 4646
    within: 5m              # then the step has failed
""",
    parallel=True,
)


def wait_for_port(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises StepError where it does not listen in time."""
    from runbook.errors import ErrorKind, StepError
    from runbook.events import Waiting
    from runbook.text import is_known, shown

    place = f"{shown(arguments['host'])}:{shown(arguments['port'])}"
    if not is_known(arguments):
        return StepResult(f"would wait for {place}", {}, Label.UNKNOWN)
    began = context.clock.monotonic()
    until = began + context.left(arguments["within"])
    while True:
        why = _why_closed(arguments["host"], arguments["port"], max(0.05, until - context.clock.monotonic()))
        now = context.clock.monotonic()
        if not why:
            return StepResult(f"{place} takes connections", {"seconds": round(now - began, 3)}, Label.LIVE)
        if context.dry_run:
            told = f"would wait for {place}, for {format_duration(until - now)} at most: {why}"
            return StepResult(told, {}, Label.UNKNOWN, until - now)
        if now >= until:
            what = f"{place} took no connection within {format_duration(until - began)}: {why}"
            raise StepError(ErrorKind.TIMEOUT, what, "Check that it was started, and the firewalls on the way")
        pause = min(arguments["every"], until - now)
        context.emit(Waiting(context.step, round(until - now, 1), f"for {place}: {why}"))
        context.clock.sleep(pause)


def _why_closed(host: str, port: int, seconds: float) -> str:
    """Why no connection could be made; empty where one could."""
    import socket

    check_network(f"try {host}:{port}")
    try:
        socket.create_connection((host, port), timeout=min(seconds, CONNECT_WITHIN)).close()
    except TimeoutError:
        return "no answer"
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or "the name is none"
    return ""


CONNECT_WITHIN = 3.0  # seconds: a first packet that was lost is sent again after one


def wait_by_hand(_view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """A sleep."""
    from runbook.by_hand import Instruction, duration_in_words, in_words
    from runbook.playbook.types import is_number

    seconds = arguments["duration"]
    command = (f"sleep {seconds:g}",) if is_number(seconds) else ()
    yield Instruction(f"Wait {duration_in_words(seconds)}: {in_words(arguments['reason'])}.", command)


def look_by_hand(view: HandView, _arguments: dict[str, Any]) -> Iterator[Instruction]:
    """One look."""
    from runbook.by_hand import Instruction
    from runbook.raft import removal_by_hand

    yield Instruction("Look who leads, and how many voters are alive.", removal_by_hand.look_by_hand(view))


def try_port_by_hand(_view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """A loop around curl."""
    from runbook.by_hand import Instruction, duration_in_words, in_words, shell_word

    host, port = arguments["host"], arguments["port"]
    place = f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    yield Instruction(
        f"Until {in_words(place)} takes a connection, for {duration_in_words(arguments['within'])} at most: then this "
        "prints its address, and else nothing.",
        (
            "curl --silent --output /dev/null --connect-timeout 3 --max-time 4 --write-out '%{remote_ip}\\n' "
            + shell_word(f"http://{place}/"),
        ),
    )


STEPS = (
    Step(WAIT_FOR, wait_for, wait_by_hand),
    Step(WAIT_UNTIL, wait_until, look_by_hand),
    Step(WAIT_FOR_PORT, wait_for_port, try_port_by_hand),
)
