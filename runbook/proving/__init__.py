"""A playbook that is played with every fault at every point, and the invariants that are held against the truth."""
