"""Outage-recovery runbooks for clusters that run on Raft."""

__version__ = "0.1.0"
