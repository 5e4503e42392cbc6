"""What one vantage holds of one peer: a server, by gossip, heartbeats or open streams; and the peer's own machine."""

from __future__ import annotations

from enum import Enum

from runbook.dataclass import dataclass


class OpinionKind(Enum):
    """``HEARD`` proves life, ``PRESENT`` and ``UNSURE`` forbid *dead*, ``GONE`` and ``ABSENT`` are needed for it."""

    HEARD = "heard"  # the peer answered this vantage lately
    PRESENT = "present"  # its failure detector has nothing against the peer, which may be a minute late
    UNSURE = "unsure"  # something odd: on its way out, two members with one id, a list that was cut
    GONE = "gone"  # its failure detector says that the peer failed or left
    ABSENT = "absent"  # it does not know the peer


@dataclass(frozen=True)
class Opinion:
    """The kind, and the vantage's own words for a person.

    ``source`` is what the vantage has it from, as in "gossip of s1.global". ``age``: it was so at some moment of the
    last ``age`` seconds. ``follows``, of a peer that is heard: it also follows this vantage as its leader, so that it
    counts for the quorum. ``left``, of one that is gone: it left on purpose.
    ``successor`` is the id of another server that this vantage knows to live at the peer's address now.
    """

    kind: OpinionKind
    words: str
    source: str = "gossip"
    age: float = 0.0
    follows: bool = False
    left: bool = False
    successor: str | None = None

    @property
    def says_gone(self) -> bool:
        return self.kind in (OpinionKind.GONE, OpinionKind.ABSENT)


@dataclass(frozen=True)
class HostWord:
    """What was seen of a server on its own machine.

    Args:
        stopped: It does not run: its unit is inactive, no process has its data folder open, and none listens for it.
        runs: A process of it was seen there, at work or frozen. Neither is true where nothing could be seen.
        fenced: It is stopped and cannot come back: the unit is disabled, and its Raft folder was moved aside; or its
            machine was switched off, which a hook of the operator's has confirmed.
        words: The same for a person.
    """

    stopped: bool
    fenced: bool = False
    words: str = ""
    runs: bool = False
