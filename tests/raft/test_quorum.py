"""The sums, against the table of docs/servers/raft.md#quorum and against counting every way."""

import pytest

from runbook.raft.quorum import failure_tolerance, quorum

TABLE = [(1, 1, 0), (2, 2, 0), (3, 2, 1), (4, 3, 1), (5, 3, 2), (6, 4, 2), (7, 4, 3), (9, 5, 4)]


@pytest.mark.parametrize(("voters", "needed", "tolerated"), TABLE)
def test_the_table(voters: int, needed: int, tolerated: int) -> None:
    assert (quorum(voters), failure_tolerance(voters, voters)) == (needed, tolerated)


@pytest.mark.parametrize("voters", range(1, 12))
def test_two_quorums_always_meet_and_a_smaller_group_need_not(voters: int) -> None:
    assert 2 * quorum(voters) > voters
    assert 2 * (quorum(voters) - 1) <= voters


@pytest.mark.parametrize("voters", range(2, 12))
def test_removing_a_dead_voter_never_lowers_failure_tolerance(voters: int) -> None:
    """I4, for every number of living voters that still is a quorum."""
    for live in range(quorum(voters), voters):
        assert live >= quorum(voters - 1)
        assert failure_tolerance(voters - 1, live) >= failure_tolerance(voters, live)
