"""What goes wrong between the tool and the servers, and to the servers themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from random import Random

from runbook.lab.virtual.messages import MessageFault
from runbook.lab.virtual.network import FaultTimes


class MomentFault(Enum):
    """What befalls a try of a port, or everything else between a look and the removal that follows from it."""

    LOST_PROBE = "lost probe"
    LEADER_STEPS_DOWN = "leader steps down between look and removal"
    LEADER_FREEZES = "leader freezes between look and removal"
    LEADER_DIES = "leader dies between look and removal"
    TARGET_RETURNS = "target returns between look and removal"
    VOTER_DIES = "another voter dies between look and removal"
    SLOW_DISK = "disk hangs under an intent"
    BLIND = "leader's answers are lost as a removal begins"


RequestFault = MessageFault | MomentFault


class ClusterFault(Enum):
    """What befalls the cluster, whatever the tool does."""

    KILL = "server dies"
    HOST_DIES = "host dies"
    FREEZE = "server freezes"
    RESTART = "dead server returns"
    WIPED_RESTART = "new id at an old address"
    PARTITION = "partition"
    MINORITY = "partition with the tool on the smaller side"
    ONE_WAY = "one-way partition between servers"
    TOOL_CUT_OFF = "tool cut off from some servers"
    TOOL_DEAF = "one-way partition of the tool"
    OLD_LEADER = "thawed leader answers with old data"
    OPERATOR_REMOVES = "second operator removes"
    OPERATOR_FORCES_LEAVE = "second operator forces a leave"
    SECOND_RUN = "second run at once"
    FULL_QUEUE = "server freezes and its listen queue is full"
    MACHINE_PAUSES = "machine pauses"
    LIFE_BETWEEN = "dead server lives for a moment"
    SLOW_LEADER = "leader answers slowly"
    SHORT_PAUSE = "machine pauses for 3 to 30 s"
    CRASH_LOOP = "dead server comes and goes"
    REJECT = "firewall refuses some ports"
    DROP = "firewall drops packets to some ports"
    CLOCK_JUMPS = "clock of the tool's host jumps"
    ELECTION = "another is elected within a look's time"
    SHORT_CUT = "a cut that is shorter than the leader's lease"


class CommandTrial(Enum):
    """What playbooks of commands, and the person who runs them, put the tool through."""

    COMMAND = "command as a change"
    CUT_OFF = "kill inside a command"
    UNANSWERED = "gone on with and nobody to ask"
    ANSWERED = "gone on with and answered"
    SLOW_PERSON = "a person takes their time"
    NOBODY = "nobody agrees"
    SUSPENDED = "tool is suspended"
    RIGHT_WORD = "a person's right word on a server"
    WRONG_WORD = "a person's wrong word on a server"


RULES = (ClusterFault.REJECT, ClusterFault.DROP)
OF_A_HOST = (ClusterFault.SHORT_PAUSE, ClusterFault.CRASH_LOOP, *RULES, ClusterFault.CLOCK_JUMPS)
SHORT = (ClusterFault.ELECTION, ClusterFault.SHORT_CUT)
EVIDENCE = (ClusterFault.FULL_QUEUE, ClusterFault.MACHINE_PAUSES, ClusterFault.LIFE_BETWEEN, ClusterFault.SLOW_LEADER)
LONGEST_PAUSE = 100.0  # seconds; a machine that is silent for longer is as good as off

READING = (
    MessageFault.LOST_REQUEST,
    MessageFault.LOST_REPLY,
    MessageFault.SLOW_REQUEST,
    MessageFault.SLOW_REPLY,
    MessageFault.SLOW_BODY,
    MessageFault.TRUNCATED_BODY,
    MessageFault.TOO_MANY_CONNECTIONS,
)
SNAPSHOT = (*READING, MessageFault.TRUNCATED_SNAPSHOT, MessageFault.TRUNCATED_SNAPSHOT, MessageFault.TRUNCATED_SNAPSHOT)
REMOVING = (
    MessageFault.LOST_REQUEST,
    MessageFault.LOST_REPLY_TO_REMOVAL,
    MessageFault.LOST_REPLY_TO_REMOVAL,
    MessageFault.SLOW_REQUEST,
    MessageFault.SLOW_REPLY,
    MessageFault.TOO_MANY_CONNECTIONS,
    MomentFault.LEADER_STEPS_DOWN,
    MomentFault.LEADER_FREEZES,
    MomentFault.LEADER_DIES,
    MomentFault.TARGET_RETURNS,
    MomentFault.TARGET_RETURNS,
    MomentFault.VOTER_DIES,
)


LATE_RATE = 0.4
BLIND_RATE = 0.5  # of the removals past which a playbook may go on, in some incidents
BLIND_FOR = 10.0  # seconds; longer than a look waits for the leader


class FaultRates(FaultTimes):
    """How often requests meet a fault. It clears up for good when the faults of an incident are over."""

    def __init__(self, chance: Callable[[str], Random], reading: float, removing: float) -> None:
        """``chance`` gives the random stream of a purpose."""
        self._chance = chance("requests")
        self._late = chance("late")
        self._unanswered: tuple[MessageFault, ...] = (MessageFault.LATE, MessageFault.LATE, MessageFault.STOPS)
        self._reading = reading
        self._removing = removing

    def stop_faults(self) -> None:
        self._reading = self._removing = 0.0

    def fault_of_request(self, method: str, path: str) -> RequestFault | None:
        if method != "GET":
            fault = self._draw(self._removing, REMOVING)
            late = self._removing > 0.0 and self._late.random() < LATE_RATE
            return self._late.choice(self._unanswered) if late else fault
        if path.startswith("/v1/operator/snapshot"):
            return self._draw(self._removing, SNAPSHOT)
        return self._draw(self._reading, READING)

    def disk_delay(self) -> float:
        """Seconds for which the record of an intent is not on disk yet."""
        fault = self._draw(self._removing / 8, (MomentFault.SLOW_DISK,))
        return self._chance.uniform(2.0, 40.0) if fault else 0.0

    def fault_of_probe(self) -> RequestFault | None:
        return self._draw(self._reading, (MomentFault.LOST_PROBE,))

    def seconds(self, fault: MessageFault | None) -> float:
        """How long something slow takes: at times longer than anybody waits for it."""
        slow = (MessageFault.SLOW_REQUEST, MessageFault.SLOW_REPLY, MessageFault.SLOW_BODY)
        return self._chance.choice((0.3, 1.0, 2.5, 6.0, 25.0)) if fault in slow else 0.0

    def lose_removals(self) -> None:
        """Of those that get no answer most get lost: where a run goes on after one, that is what matters."""
        self._unanswered = (*self._unanswered, *[MessageFault.LOST_REQUEST] * 6)

    def lateness(self) -> float:
        """Seconds for which the disk of a leader hangs under a removal."""
        return self._late.uniform(1.0, 30.0)

    def stop(self) -> float:
        """Seconds for which a server is stopped under one: longer than anybody waits for it."""
        return self._late.uniform(20.0, 300.0)

    def _draw(self, rate: float, kinds: Sequence[RequestFault]) -> RequestFault | None:
        if rate == 0.0 or self._chance.random() >= rate:
            return None
        return self._chance.choice(kinds)
