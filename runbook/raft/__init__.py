"""What Raft means for an operator: configurations, quorum, verdicts, removals. Pure; no I/O, no clock."""
