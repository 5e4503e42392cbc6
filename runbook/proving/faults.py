"""What can befall a run at one point, in words, and where each of them can."""

from __future__ import annotations

from enum import Enum

from runbook.lab.virtual.messages import MessageFault
from runbook.lab.virtual.network import FaultTimes


class ProofFault(Enum):
    """One of them befalls a schedule, or two."""

    CRASH = "the tool is killed, and the run resumed"
    LOST_REQUEST = "the request is lost"
    LOST_REPLY = "the reply is lost"
    LATE_REPLY = "the reply is late"
    CARRIED_OUT_LATE = "the request is given up and carried out later"
    LEADER_CHANGES = "the leader steps down"
    ANOTHER_DIES = "another server dies"
    ONE_RETURNS = "a dead, frozen or removed server returns"
    ONE_DOOR = "only one API is left open"


OF_THE_WORLD = (ProofFault.LEADER_CHANGES, ProofFault.ANOTHER_DIES, ProofFault.ONE_RETURNS, ProofFault.ONE_DOOR)
"""Befall the servers, whatever the tool does."""
AT_A_PAUSE = (ProofFault.CRASH, *OF_THE_WORLD)
AT_A_READ = (ProofFault.LOST_REPLY, ProofFault.LATE_REPLY)
AT_A_CHANGE = (
    ProofFault.LOST_REQUEST,
    ProofFault.LOST_REPLY,
    ProofFault.LATE_REPLY,
    ProofFault.CARRIED_OUT_LATE,
    *AT_A_PAUSE,
)
AT_A_HOST_LOOK = (ProofFault.LOST_REPLY,)
AT_A_HOST_CHANGE = (ProofFault.LOST_REQUEST, ProofFault.LOST_REPLY, *AT_A_PAUSE)
OF_A_MESSAGE = {
    ProofFault.LOST_REQUEST: MessageFault.LOST_REQUEST,
    ProofFault.LOST_REPLY: MessageFault.LOST_REPLY,
    ProofFault.LATE_REPLY: MessageFault.SLOW_REPLY,
    ProofFault.CARRIED_OUT_LATE: MessageFault.LATE,
}


class ProofTimes(FaultTimes):
    """Late is later than anybody waits for a read, and a removal that was given up is carried out within I6's limit."""

    def seconds(self, fault: MessageFault | None) -> float:
        return 7.0 if fault is MessageFault.SLOW_REPLY else 0.0

    def lateness(self) -> float:
        return 45.0
