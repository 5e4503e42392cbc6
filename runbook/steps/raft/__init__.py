"""The steps that look at the Raft configuration of a cluster, and the one that changes it."""
