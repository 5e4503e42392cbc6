"""The machines of the simulated servers, each behind the system's ssh: they answer our scripts as a shell there would,
and systemd's two commands. What a host says is read by the real code, and only the machine itself is played.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runbook.errors import unexpected
from runbook.hosts import scripts
from runbook.hosts.process import SSH_FAILED, Command, Ended
from runbook.hosts.spec import HostSpec
from runbook.proving import machine_files, oracle
from runbook.proving.checks import OLDEST_EVIDENCE, Checks
from runbook.proving.faults import AT_A_HOST_CHANGE, AT_A_HOST_LOOK, ProofFault
from runbook.proving.machine_files import FOLDER, Tree
from runbook.proving.recovered import Recoveries
from runbook.proving.stage import ProofStage
from runbook.proving.tool import Reach_
from runbook.simulation.state import ProcessState, SimulatedServer

DATA, UNIT = "/opt/nomad/data", "nomad"
RAFT, ID_FILE = f"{DATA}/server/raft", f"{DATA}/server/node-id"
PEERS, INFO = f"{RAFT}/peers.json", f"{RAFT}/peers.info"
STOPS, STARTS, MEETS = 1.0, 1.0, 0.2  # seconds: for a service to stop and to start, and for a call by ssh
ENDS = 0.1  # seconds until a process that has a signal ends
GIVES_UP = 90.0  # seconds until systemd kills what does not stop: its TimeoutStopSec
ANY_ADDRESS = "00000000"  # as the kernel spells it
STOPPED, ONE_AT_A_TIME, JOINS = "quorum at a stop", "one stop at a time", "all alive at a first start"
LOST = "quorum is lost at a stop"


@dataclass
class ProofMachines:
    """Those of one run. ``trees``: by server, the paths below its data folder, with the text of each file.

    ``records`` are those of the run, and grow; ``stopped`` are the servers that it has stopped, until it starts them.
    """

    stage: ProofStage
    records: Sequence[Mapping[str, Any]]
    trees: dict[str, Tree] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    examined: dict[str, float] = field(default_factory=dict)  # when the run saw last who runs there
    asked_to_end: dict[str, int] = field(default_factory=dict)  # of frozen ones, by name: the life of the process

    def __post_init__(self) -> None:
        self.stage.woken, self.stage.away = self._woken, self.stopped
        self.recoveries = Recoveries(self.stage, self.records)

    def specs(self) -> Mapping[str, HostSpec]:
        """As an inventory would name them."""
        names = self.stage.model.state.servers
        return {name: HostSpec(name, ssh=f"root@{name}", data_folder=DATA, unit=UNIT) for name in names}

    def run(self, command: Command, seconds: float, uses: str, checks: Checks, reach: Reach_) -> Ended:
        """What ssh gives back. Raises StepError for a machine that is none of these."""
        argv = list(map(str, command.argv))
        name, words = _target(argv)
        if name not in self.stage.model.state.servers:
            raise unexpected(
                f"a proof has no host {name or argv[0]}", "Leave the host out: each server has one of its own"
            )
        server = self.stage.model.server(name)
        what, play, changes = self._meant(words)
        fault = reach(f"{what} on {name}", AT_A_HOST_CHANGE if changes else AT_A_HOST_LOOK)
        self.stage.timeline.wait(self.stage.now + MEETS)
        if self.stage.links.silent(name) or fault is ProofFault.LOST_REQUEST:
            return _broken(name)
        if changes:
            self.stage.transcript.tell(checks.who, f"{what} on {name}")
        ended = play(_MachineCall(server, words[4:], command.given.decode(), seconds, uses, checks))
        self.stage.network.kick()
        if fault is ProofFault.LOST_REPLY:
            return _broken(name)
        if changes:
            reach(f"after {what} on {name}", AT_A_HOST_CHANGE[2:])
        return ended

    def _meant(self, words: Sequence[str]) -> tuple[str, Callable[[_MachineCall], Ended], bool]:
        """What is asked there, in a word; how it is played; whether it changes anything."""
        if tuple(words[:2]) == ("systemctl", "stop"):
            return "stop", self._stop, True
        if tuple(words[:2]) == ("systemctl", "start"):
            return "start", self._start, True
        script = words[2] if tuple(words[:2]) == ("sh", "-c") and len(words) > 2 else ""
        played = {
            scripts.EXAMINE: ("examine", self._examine, False),
            scripts.LISTENING: ("see who listens", self._listening, False),
            scripts.KILL: ("kill", self._kill, True),
            scripts.RUNS_ONCE: ("see what runs once", lambda _asked: _told("no"), False),
        }
        if script in machine_files.LOOKS:
            what, see = machine_files.LOOKS[script]
            return what, lambda asked: see(self._tree(asked.server), asked.arguments, asked.given), False
        if script in machine_files.CHANGES:
            return machine_files.CHANGES[script][0], lambda asked: self._change_files(asked, script), True
        if script not in played:
            raise unexpected(f"a proof does not play {shlex.join(words)[:60]} on a host")
        return played[script]

    # -- what a machine shows

    def _tree(self, server: SimulatedServer) -> Tree:
        if server.name not in self.trees:
            self.trees[server.name] = {DATA: FOLDER}
            if server.log:
                self._fill(server)
        return self.trees[server.name]

    def _fill(self, server: SimulatedServer) -> None:
        """What a server has below its data folder once it has started."""
        folders = dict.fromkeys((DATA, f"{DATA}/server", RAFT), FOLDER)
        self.trees[server.name] |= {**folders, ID_FILE: server.uuid, INFO: ""}

    def _examine(self, asked: _MachineCall) -> Ended:
        folder, id_file, _, host, port = asked.arguments
        server, tree = asked.server, self._tree(asked.server)
        self.examined[server.name] = self.stage.now
        lives = server.process is not ProcessState.KILLED
        told = [f"held {_pid(server)} /usr/bin/nomad agent"] if lives else []
        told += [f"listens {ANY_ADDRESS}"] if lives and int(port, 16) == _port(server) else []
        told += [FOLDER] if folder in tree else []
        told += [f"id {tree[f'{folder}/{id_file}']}"] if id_file and f"{folder}/{id_file}" in tree else []
        told += ["own"] if host == server.host.strip("[]") else []
        state = "active" if lives else "inactive"
        return _told(*told, "LoadState=loaded", f"ActiveState={state}", "UnitFileState=enabled")

    def _listening(self, asked: _MachineCall) -> Ended:
        own = _pid(asked.server)
        there = own in asked.arguments[1:] and asked.server.process is not ProcessState.KILLED
        return _told(f"{own} {ANY_ADDRESS}") if there else _told()

    # -- what is done to it

    def _change_files(self, asked: _MachineCall, script: str) -> Ended:
        """Never below a process that has them open."""
        what, change = machine_files.CHANGES[script]
        server = asked.server
        alive = server.process is not ProcessState.KILLED and not self._started_since_look(server)
        asked.checks.require(not alive, STOPPED, f"{what} of the data of {server.name}, and its process is there")
        if script == scripts.COPY_ASIDE:
            self.stage.timeline.wait(self.stage.now + machine_files.COPY)
        if script == scripts.WRITE and asked.arguments[0] == PEERS:
            self.recoveries.may_leave_out(asked.given, asked.checks)
        return change(self._tree(server), asked.arguments, asked.given)

    def _stop(self, asked: _MachineCall) -> Ended:
        """A frozen one does not hear it: systemd kills it in the end, and nobody waits for that."""
        server, model = asked.server, self.stage.model
        if server.process is ProcessState.KILLED:
            return _told()
        self._may_be_stopped(asked)
        self._tree(server)
        if server.process is ProcessState.FROZEN:
            self.asked_to_end[server.name] = server.life
            self.stage.timeline.after(GIVES_UP, self._killing(server))
            self.stage.timeline.wait(self.stage.now + min(round(asked.seconds, 2), GIVES_UP))
            return Ended(None, "", "", 0)
        self.stopped.add(server.name)
        model.kill(server.name)
        self.stage.timeline.wait(self.stage.now + STOPS)
        return _told()

    def _woken(self, server: SimulatedServer) -> None:
        """A frozen process that goes on finds the signal that was sent to it meanwhile."""
        if self.asked_to_end.get(server.name) == server.life:
            self.stage.timeline.after(ENDS, self._killing(server))

    def _killing(self, server: SimulatedServer) -> Callable[[], None]:
        life = server.life

        def kill() -> None:
            if server.life == life:
                self.stage.model.kill(server.name)
                self.stage.network.kick()

        return kill

    def _kill(self, asked: _MachineCall) -> Ended:
        server = asked.server
        if _pid(server) in asked.arguments[1:] and server.process is not ProcessState.KILLED:
            self._may_be_stopped(asked)
            self._tree(server)
            self.stage.model.kill(server.name)
        return _told()

    def _start(self, asked: _MachineCall) -> Ended:
        server = asked.server
        self.stopped.discard(server.name)
        if server.process is ProcessState.KILLED:
            tree = self._tree(server)
            if RAFT not in tree:
                self._may_join(asked)
            self.stage.truth.back_since[server.name] = self.stage.now
            if PEERS in tree:
                waiting = {name: other[PEERS] for name, other in self.trees.items() if PEERS in other}
                self.recoveries.begins_anew(server, tree.pop(PEERS), waiting, asked.checks)
            self.stage.model.restart(server.name, wiped=RAFT not in tree)
            self._fill(server)
            self.stage.timeline.wait(self.stage.now + STARTS)
        return _told()

    # -- what must hold

    def _may_be_stopped(self, asked: _MachineCall) -> None:
        """Without it the others are a quorum, and it is the only voter that this run has stopped; a server that is said
        to be frozen is so.
        """
        server, checks, leader = asked.server, asked.checks, self.stage.truth.leader()
        if asked.uses == "raft.stop_frozen":
            frozen = server.process is ProcessState.FROZEN
            self._hold(checks, frozen, "I1", f"{server.name} is stopped as frozen, and it runs")
        if server.process is ProcessState.FROZEN:  # nobody counts on it
            return
        if leader is None and self.recoveries.is_confirmed:
            lives = self.recoveries.quorum_lives()
            self._hold(checks, not lives, LOST, f"{server.name} is stopped for a recovery, and a quorum lives")
            return
        if leader is None:
            self._hold(checks, False, STOPPED, f"{server.name} is stopped while nobody leads")
            return
        voters = [peer for peer in leader.peers if peer.voter]
        if all(peer.id != server.raft_id for peer in voters):
            return
        live, needed = self.stage.truth.live_in_reach(leader, server.raft_id), oracle.majority(len(voters))
        told = f"{server.name} is stopped, and {live} of {len(voters)} voters are left, {needed} needed"
        self._hold(checks, live >= needed, STOPPED, told)
        away = [name for name in self.stopped if not self.stage.model.server(name).running and name != server.name]
        checks.require(not away, ONE_AT_A_TIME, f"{server.name} is stopped while {', '.join(away)} is away by this run")

    def _may_join(self, asked: _MachineCall) -> None:
        """Every voter lives, as a further one makes the quorum larger."""
        leader, name = self.stage.truth.leader(), asked.server.name
        voters = [peer for peer in leader.peers if peer.voter] if leader else []
        live = self.stage.truth.live_in_reach(leader, "") if leader else 0
        told = f"{name} is started as a new server, and {live} of {len(voters)} voters follow a leader"
        self._hold(asked.checks, leader is not None and live == len(voters), JOINS, told)

    def _started_since_look(self, server: SimulatedServer) -> bool:
        """By somebody else, and after this run saw last whether it runs."""
        return self.stage.truth.back_since.get(server.name, 0.0) > self.examined.get(server.name, self.stage.now)

    def _hold(self, checks: Checks, held: bool, invariant: str, sentence: str) -> None:
        """What happened since a look that is young enough no tool can know."""
        age = checks.seconds_since_look()
        if age > OLDEST_EVIDENCE:
            checks.require(held, invariant, f"{sentence}; the look that it follows from began {age:.0f} s ago")
        else:
            checks.require_or_race(held, invariant, sentence)


@dataclass(frozen=True)
class _MachineCall:
    """One call of a machine."""

    server: SimulatedServer
    arguments: Sequence[str]
    given: str
    seconds: float
    uses: str
    checks: Checks


def _target(argv: Sequence[str]) -> tuple[str, list[str]]:
    """Which machine, and the words of what is run there."""
    if argv[0] != "ssh" or "--" not in argv:
        return "", []
    at = argv.index("--")
    words = shlex.split(argv[at + 2])
    return argv[at + 1].rpartition("@")[2], words[3:] if words[:3] == ["sudo", "-n", "--"] else words


def _pid(server: SimulatedServer) -> str:
    """Another one for each of its lives."""
    return str(4000 + server.life)


def _port(server: SimulatedServer) -> int:
    return int(server.address.rpartition(":")[2])


def _told(*lines: str) -> Ended:
    return Ended(0, "".join(f"{line}\n" for line in lines), "", 0)


def _broken(name: str) -> Ended:
    return Ended(SSH_FAILED, "", f"ssh: connect to host {name} port 22: Connection timed out", 0)
