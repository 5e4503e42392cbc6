"""``raft.add_server``: a new server joins a cluster whose voters all live, and gets its vote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbook.errors import RefusedError, unexpected
from runbook.hosts.spec import OF_INVENTORY, chosen_host
from runbook.label import Label
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.steps.base import Step, StepResult
from runbook.text import is_known, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runbook.by_hand import HandView, Instruction
    from runbook.hosts.once import OnceHost
    from runbook.hosts.process_command import ProcessCommand
    from runbook.raft.model import ClusterView, Configuration, Peer
    from runbook.raft.recovery_files import RaftFiles
    from runbook.steps.context import StepContext

ADD_SERVER = StepDeclaration(
    "raft.add_server",
    "Start a stopped server that has no Raft data as a new one, and wait until it is a voter. Refused while a voter is "
    "dead or unknown, as a further one makes the quorum larger.",
    Effect.CHANGE,
    parameters=(
        Field("server", "string", "the new server's name, as the cluster will list it, or its id", required=True),
        OF_INVENTORY,
        Field(
            "old_data",
            "enum",
            "what to do where Raft data of an earlier server is there: refuse, or move it aside, where it is kept",
            default="refuse",
            choices=("refuse", "move_aside"),
        ),
        Field(
            "first_start",
            "list",
            "of etcd: the words of the command that starts it, with its options or --config-file, as nobody joins etcd "
            "by being started; of any other product none",
        ),
        Field("within", "duration", "how long it may take until it votes", default=600.0, min=1, max=86400),
    ),
    results=(
        Field("id", "string", "its id"),
        Field("voters", "int", "voters now"),
        Field("changed", "bool", "false where it was a voter already"),
    ),
    observe="The leader's configuration lists it as a voter, and it is seen alive.",
    shadow="The guard is asked as in a real run, and it is told which server would join.",
    example="""\
- uses: raft.add_server
  with:
    server: s4                        # its own configuration says how it finds the others
    host: { ssh: admin@10.0.0.14, sudo: true, data_folder: /opt/consul, service: { unit: consul } }
""",
)

ETCD_NAME, ETCD_URLS = "name", "initial-advertise-peer-urls"


def add_server(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Each part is left out where it is so already. Raises RefusedError, StepError and ClusterError."""
    if not is_known(arguments):
        return StepResult(f"{shown(arguments['server'])} would join as a new server", {}, Label.UNKNOWN)
    from runbook.hosts.host import Running
    from runbook.raft.liveness import Liveness, judge_once
    from runbook.steps.raft.joining import settled_host, wait_for_vote
    from runbook.steps.raft.looking import look_again

    name, view = arguments["server"], look_again(context)
    files = _files_of(context)
    told = chosen_host(context.hosts, name, arguments["host"])
    listed = view.configuration and _found(view.configuration, name)
    if listed and listed.voter and judge_once(view, listed).liveness is Liveness.ALIVE:
        voters = len(view.configuration.voters) if view.configuration else 0
        return _result(f"{name} is a voter already, one of {voters}", listed, voters, changed=False)
    if listed is None:
        _require_join(context, view)  # before its host is touched
    if context.dry_run:
        return StepResult(f"{name} would be started and join as a new server", {}, Label.UNKNOWN)
    host = settled_host(context, told)
    member = ""
    if host.service().running is not Running.RUNS:
        if listed is not None:
            _require_join(context, view)
        member = _start(context, host, files, arguments, is_listed=listed is not None)

    def find(configuration: Configuration) -> Peer | None:
        return configuration.peer(member) if member else _found(configuration, name)

    peer, configuration = wait_for_vote(context, host, find, context.left(arguments["within"]), added=files.added)
    voters = len(configuration.voters)
    return _result(f"{host.spec.label}: a voter, one of {voters}", peer, voters, changed=True)


def _result(message: str, peer: Peer, voters: int, *, changed: bool) -> StepResult:
    return StepResult(message, {"id": peer.id, "voters": voters, "changed": changed})


def _found(configuration: Configuration, name: str) -> Peer | None:
    """The one server of this name, id or address."""
    from runbook.raft.model import named

    found = named(configuration, name)
    return found[0] if len(found) == 1 else None


def _files_of(context: StepContext) -> RaftFiles:
    """Vault's are where OpenBao's are, which comes from it."""
    from runbook.raft.recovery_files import FILES

    kind = context.cluster.name.partition(":")[0]
    return FILES["openbao" if kind == "vault" else kind]


def _require_join(context: StepContext, view: ClusterView) -> None:
    """Looks again for a while before it refuses: one look may have missed somebody. Raises RefusedError."""
    from runbook.clock import wait
    from runbook.raft.joining import NOT_ALL_ALIVE, may_join
    from runbook.raft.removal import Refusal
    from runbook.steps.raft.looking import PATIENCE, QUORUM_EVERY, look_again

    decided = [may_join(view)]

    def allowed() -> bool | None:
        decided[0] = may_join(look_again(context))
        return None if isinstance(decided[0], Refusal) and decided[0].code == NOT_ALL_ALIVE else True

    if isinstance(decided[0], Refusal):
        wait(context.clock, allowed, every=lambda *_: QUORUM_EVERY, within=context.left(PATIENCE))
    if isinstance(decided[0], Refusal):
        raise RefusedError(decided[0])


def _start(
    context: StepContext, host: OnceHost, files: RaftFiles, arguments: dict[str, Any], *, is_listed: bool
) -> str:
    """The id of the member that was added; empty where it joins by itself."""
    from runbook.cluster.etcd.once import setting
    from runbook.steps.raft.joining import add_as_learner, join_settings, start_once

    if not files.added:
        _clear(context, host, files, arguments["old_data"])
        host.start()
        return ""
    command, config = _first_command(host, arguments["first_start"])
    name, urls = (setting(command, config, each) for each in (ETCD_NAME, ETCD_URLS))
    if not name or not urls:
        raise unexpected(f"{host.spec.label}: first_start sets no {ETCD_NAME} or no {ETCD_URLS}", "Add it there")
    if not is_listed and arguments["old_data"] == "refuse":
        _clear(context, host, files, "refuse")  # before it is added, and not after
    member, listed = add_as_learner(context, tuple(urls.split(",")), arguments["within"])
    if listed[member].startswith("="):  # without a name: it never started
        _clear(context, host, files, arguments["old_data"])
        start_once(host, command, config, join_settings(listed, member, name), context.left(arguments["within"]))
    host.start()
    return member


def _clear(context: StepContext, host: OnceHost, files: RaftFiles, old_data: str) -> None:
    """Raises StepError where old data is there and is not to be moved aside."""
    for below in files.raft_data:
        path = f"{host.spec.data_folder}/{below}"
        if old_data == "move_aside":
            host.move_aside(path, f"{path}.before-{context.folder.name}")
        elif host.kind_of(path) != "nothing":
            what = f"{host.spec.label}: {path} is there: this server was a member before"
            raise unexpected(what, "See that nobody needs it; then say old_data: move_aside, which keeps it beside")


def _first_command(host: OnceHost, words: list[Any] | None) -> tuple[ProcessCommand, str | None]:
    """And the text of the configuration file that it names. Raises StepError."""
    from runbook.cluster.etcd.once import config_file_of
    from runbook.hosts.process_command import ProcessCommand

    if not words or not all(isinstance(word, str) for word in words) or not words[0].startswith("/"):
        what = f"{host.spec.label}: etcd joins by a first start of its own, and first_start is no such command"
        raise unexpected(what, "Give it the whole path of etcd and its options, or --config-file=PATH")
    command = ProcessCommand(words[0], "/", tuple(words[1:]), {})
    path = config_file_of(command)
    if path is None:
        return command, None
    config = host.read_file(path)
    if config is None:
        raise unexpected(f"{host.spec.label}: there is no {path}, which first_start names")
    return command, config


def add_by_hand(view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """Started on its host, and waited for until it votes."""
    from runbook.by_hand import Instruction, in_words, shell_word
    from runbook.raft.removal_by_hand import product_of
    from runbook.steps.hosts import control_by_hand

    name, peers = arguments["server"], product_of(view).tools[0].peers
    yield Instruction(
        f"See that every voter is alive, and that no Raft data is on the host of {in_words(name)}.", (peers,)
    )
    if view.kind == "etcd":
        text = "Add it as a learner; its first start needs the initial cluster that this prints."
        urls = shell_word("<ITS-PEER-URL>")
        yield Instruction(text, (f"etcdctl member add {shell_word(name)} --learner --peer-urls={urls}",))
    yield from control_by_hand(view, {"host": arguments["host"], "server": name, "do": "start"})
    if view.kind == "etcd":
        promote = f"etcdctl member promote {shell_word('<ITS-ID>')}"
        yield Instruction("Give it its vote once it has copied all.", (promote,))
    yield Instruction("Wait until it is listed as a voter.", (peers,))


STEPS = (Step(ADD_SERVER, add_server, add_by_hand),)
