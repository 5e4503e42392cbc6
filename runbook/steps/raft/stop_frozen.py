"""``raft.stop_frozen``: a server that nobody hears, and whose process runs, is stopped on its host by name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from runbook.errors import ErrorKind, RefusedError, StepError
from runbook.hosts.spec import HOST
from runbook.label import Label
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.raft.removal import Refusal
from runbook.steps.base import Step, StepResult

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from runbook.by_hand import HandView, Instruction
    from runbook.hosts.stopping import StoppingHost
    from runbook.raft.model import Configuration, Peer
    from runbook.steps.context import StepContext

STOP_FROZEN = StepDeclaration(
    "raft.stop_frozen",
    "Stop a frozen voter on its host, by its service and then by SIGKILL: nobody hears it in several looks, the others "
    "keep their quorum without it, and its process is seen there. A living server is refused.",
    Effect.CHANGE,
    parameters=(
        Field("server", "string", "its name, with or without its region, its id or its address", required=True),
        Field("host", "map", f"{HOST.summary}; that of the inventory where none is given"),
        Field("confirm_for", "duration", "how long nobody may hear it", default=30.0, min=0, max=3600.0),
        Field("within", "duration", "how long its service may take, before SIGKILL", default=60.0, min=1, max=3600.0),
    ),
    results=(
        Field("id", "string", "id of the server"),
        Field("name", "string", "its name in the configuration"),
        Field("address", "string", "its Raft address"),
    ),
    observe="On its host no process has its data folder open, and its port is refused.",
    shadow="Everything is asked as in a real run, also on the host; that it has stopped is so in the shadow alone.",
    example="""\
- id: stop
  uses: raft.stop_frozen
  with:
    server: s4
    host: { ssh: admin@10.0.0.14, sudo: true, data_folder: /opt/consul, service: { unit: consul } }
- uses: raft.find_dead      # it is dead now, and can be removed
""",
)

LEAST_LOOKS, SETTLE = 3, 90.0  # looks; and seconds more for gossip, which takes 35-48
# Seconds until a sign of life is no old one: of its own, and one that the others have, of which etcd's spans 15 s.
ANSWERS_FOR, HEARD_FOR = 10.0, 25.0
PAUSE, POLL, ENDING = 3.0, 0.5, 20.0  # seconds between looks; on the host; and for a process that was killed


def stop_frozen(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises RefusedError with the numbers, ClusterError, and StepError where it did not end."""
    from runbook.text import is_known, shown

    if not is_known(arguments):
        return StepResult(f"would stop {shown(arguments['server'])}", {}, Label.UNKNOWN)
    peer = _confirmed(context, arguments["server"], arguments["confirm_for"])
    host = _host_of(context, arguments["host"], peer)
    pids = _server_processes(context, host, peer)
    context.acquire(context.state.looks[-1])
    question = f"Stop {peer.label} ({peer.address}), which nobody hears, on {host.spec.label} (process {pids[0]})?"
    context.permit(context, question, frozenset())
    _confirmed(context, arguments["server"], 0.0)  # a person, and the host, took their time
    output = {"id": peer.id, "name": peer.label, "address": peer.address}

    def stop() -> StepResult:
        from runbook.cluster.port import StopForetelling

        if isinstance(context.cluster, StopForetelling):
            context.cluster.foretell_stop(peer)
            return StepResult(f"would stop {peer.label} on {host.spec.label}", output, Label.SIMULATED)
        how = _stop(context, host, peer, pids, arguments["within"])
        return StepResult(f"{peer.label} was stopped on {host.spec.label}, {how}", output)

    return context.change(context, (context.step, context.item), STOP_FROZEN.name, stop)


def _confirmed(context: StepContext, server: str, confirm_for: float) -> Peer:
    """The server, once an unbroken row of looks has shown it frozen for so long. Raises RefusedError."""
    from runbook.clock import wait
    from runbook.raft.frozen import ANSWERS, HEARD, STILL_HELD, frozen_server
    from runbook.raft.stopping import WOULD_LOSE_QUORUM
    from runbook.steps.raft.looking import look_again

    began, least = context.clock.monotonic(), LEAST_LOOKS if confirm_for else 1
    row: list[tuple[float, float]] = []  # when each look of it began and ended
    looks = heard = seen = 0
    why: Refusal | None = None

    def frozen() -> Peer | None:
        nonlocal looks, heard, seen, why
        view = look_again(context)
        found, waited = frozen_server(view, server), context.clock.monotonic() - began
        looks += 1
        if not isinstance(found, Refusal):
            seen += 1
            row.append((view.taken_at, view.ended_at))
            lasted = max(0.0, row[-1][0] - row[0][1])
            return found if len(row) >= least and lasted >= confirm_for else None
        row.clear()
        is_heard = found.code in (ANSWERS, HEARD)
        heard += is_heard
        why = found
        longest = ANSWERS_FOR if found.code == ANSWERS else HEARD_FOR
        if is_heard and waited >= (longest if confirm_for else 0.0):
            many = f"heard in {heard} of {looks} looks over {waited:.0f} s"
            raise RefusedError(replace(found, sentence=f"{found.sentence} ({many})"))
        if not is_heard and found.code not in (STILL_HELD, WOULD_LOSE_QUORUM):
            raise RefusedError(found)
        return None

    pause = min(PAUSE, max(confirm_for / LEAST_LOOKS, POLL))
    within = context.left(confirm_for + SETTLE)
    confirmed = wait(context.clock, frozen, every=lambda *_: pause, within=within)
    if confirmed is None and why is not None and not seen:
        raise RefusedError(why)
    if confirmed is None:
        often = f"{server} was seen frozen in {seen} of {looks} looks over {within:.0f} s"
        sentence = f"{often}, and not for {confirm_for:g} s in a row{f'; else {why.sentence}' if why else ''}"
        raise RefusedError(Refusal("NotConfirmed", sentence, "It comes and goes: run runbook diagnose"))
    return confirmed


def _host_of(context: StepContext, told: Any, peer: Peer) -> StoppingHost:
    """By what is given, else by the inventory. Raises RefusedError, and StepError for a map that is no host."""
    from runbook.hosts.spec import host_spec
    from runbook.hosts.stopping import StoppingHost

    if told:
        return StoppingHost(host_spec(str(told.get("server") or peer.label), told))
    configuration = context.state.looks[-1].configuration
    specs = [spec for name, spec in context.hosts.items() if configuration and _is_meant(configuration, name, peer)]
    whole = [spec for spec in specs if spec.data_folder and (spec.unit or spec.stop)]
    if len(whole) != 1:
        which = "no host of it is given" if not specs else "its host has no data_folder, or no service"
        sentence = f"{peer.label} cannot be stopped: {which}, here or in the inventory"
        raise RefusedError(Refusal("NoHost", sentence, "Give host: local or ssh, data_folder, and service"))
    return StoppingHost(whole[0])


def _is_meant(configuration: Configuration, name: str, peer: Peer) -> bool:
    from runbook.raft.model import named

    return named(configuration, name) == (peer,)


def _server_processes(context: StepContext, host: StoppingHost, peer: Peer) -> tuple[str, ...]:
    """Its own processes, on a host that is shown to be its own. Raises RefusedError, and HostError."""
    from runbook.hosts.host import word_of
    from runbook.raft.recovery_files import FILES

    files = FILES.get(context.cluster.name.partition(":")[0])
    word = word_of(host.spec, peer, host.examine(peer.address, files.id_file if files else ""))
    if word.stopped:
        sentence = f"{host.spec.label}: {word.words}, so {peer.label} does not run"
        raise RefusedError(Refusal("NotRunning", sentence, "If it is gone: runbook execute remove-dead-peers"))
    pids = host.server_processes(peer.address) if word.runs else ()
    if not pids:
        what = f"{word.words}; no process that has {host.spec.data_folder} open listens for {peer.address}"
        raise RefusedError(Refusal("WrongHost", what if word.runs else word.words, "Correct the host or data_folder"))
    return pids


def _stop(context: StepContext, host: StoppingHost, peer: Peer, pids: Collection[str], within: float) -> str:
    """How it ended: by its service, else by SIGKILL. Raises StepError where it did not."""
    from runbook.clock import seconds
    from runbook.hosts.stopping import StoppingHost

    trouble: StepError | None = None
    limit = context.left(within)
    asked_at = context.clock.monotonic()
    try:
        StoppingHost(host.spec, seconds() + limit).stop()
    except StepError as error:  # its own command may wait for an answer of it, and gets none
        trouble = error
    left = 0.0 if trouble else max(0.0, limit - (context.clock.monotonic() - asked_at))
    if _is_over(context, host, peer, left):
        return "by its service"
    _refuse_to_kill_the_living(context, peer)
    host.kill(pids)
    if _is_over(context, host, peer, context.left(ENDING)):
        why = f"its service did not: {trouble}" if trouble else f"its service did not end it within {within:g} s"
        return f"by SIGKILL of process {', '.join(pids)}, as {why}"
    what = f"{host.spec.label}: {peer.label} was killed (process {', '.join(pids)}), and yet something listens for it"
    raise StepError(ErrorKind.TIMEOUT, what, "Does something start it again? Look on that host")


def _refuse_to_kill_the_living(context: StepContext, peer: Peer) -> None:
    """The looks before are as old as its service took. Raises StepError for one that has woken up since."""
    from runbook.raft.frozen import ANSWERS, HEARD, frozen_server

    found = frozen_server(context.look(), peer.id)
    if isinstance(found, Refusal) and found.code in (ANSWERS, HEARD):
        what = f"{found.sentence}, so it was not killed; its service was asked to stop it"
        raise StepError(ErrorKind.UNAVAILABLE, what, "See on its host whether it ends, then resume this run")


def _is_over(context: StepContext, host: StoppingHost, peer: Peer, within: float) -> bool:
    """Whether none of its processes is left there, and its port does not accept any more."""
    from runbook.clock import wait
    from runbook.raft.model import Reach

    def over() -> bool | None:
        left = host.server_processes(peer.address)
        accepts = not left and context.cluster.probe([peer.address]).get(peer.address) is Reach.ACCEPTED
        return None if left or accepts else True

    return wait(context.clock, over, every=lambda *_: POLL, within=within) is True


def stop_by_hand(view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """By its service, and by SIGKILL where that does not end it."""
    from runbook.by_hand import Instruction, in_words, shell_word
    from runbook.raft.removal_by_hand import look_by_hand
    from runbook.steps.hosts import control_by_hand

    host, name = arguments["host"], in_words(arguments["server"])
    yield Instruction(f"See that nobody hears {name}, and that the others have a leader.", look_by_hand(view))
    yield from control_by_hand(view, {"host": host, "server": arguments["server"], "do": "stop"})
    folder = host.get("data_folder") if isinstance(host, dict) else None
    show = f"fuser -v {shell_word(folder or '<DATA-FOLDER>')}"
    yield Instruction("Where its process is still there after a minute, end that process by kill -KILL.", (show,))


STEPS = (Step(STOP_FROZEN, stop_frozen, stop_by_hand),)
