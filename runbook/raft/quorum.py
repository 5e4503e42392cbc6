"""The small sums of Raft, and nothing else. All count voters only: a non-voter never makes or breaks a quorum."""

from __future__ import annotations

from dataclasses import dataclass


def quorum(voters: int) -> int:
    """How many voters must agree: floor(voters/2)+1. The *number*, not the group."""
    return voters // 2 + 1


def failure_tolerance(voters: int, live: int) -> int:
    """How many more live voters may die before quorum is lost; never below 0, as autopilot counts it."""
    return max(0, live - quorum(voters))


@dataclass(frozen=True)
class Numbers:
    """What one look counted."""

    voters: int
    live_voters: int

    @property
    def margin(self) -> int:
        """By how many the living are more than quorum; below 0 where it is lost."""
        return self.live_voters - quorum(self.voters)

    @property
    def tolerance(self) -> int:
        return failure_tolerance(self.voters, self.live_voters)
