"""The append-only record of a run, and the lock that lets one run at a time touch a cluster."""
