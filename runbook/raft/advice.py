"""What a person can do about a server of which it cannot be told whether it lives: one sentence each."""

from __future__ import annotations

CONFIRM_OFF = (
    "One of two words would settle it. Its host's: name its machine in the inventory (hosts), and runbook looks there. "
    "Or yours: look there whether it runs, and if it is off for sure, run again with --confirmed-off {name} "
    "--because TEXT"
)
CONFIRM_OFF_SEEN = (
    "Mend what keeps runbook from looking on its host; or, if it is off for sure, run again with --confirmed-off "
    "{name} --because TEXT"
)
GIVE_ADDRESS = (
    "It may be well: give the address of its own API too, separated by commas (with TLS, perhaps also a server name)"
)
MAY_BE_FROZEN = "Look at it on its host, and stop its process only if it stays frozen"
GIVE_LEADER = (
    "Give this host access to the leader's own API, or a token that may read its opinion of the others: "
    "no server is judged dead without it"
)
NEVER_STARTED = "it was added to the cluster and has not started yet"
START_IT = "Ask who added it: it has to be started, or taken out by hand by whoever added it"
STOP_CLONE = "Stop one of the two and start it with a new, empty data folder"
RECONCILE = "It lost its data: wait for the leader to reconcile, which takes the old id out within a minute"
WAIT = "Run runbook diagnose again in a minute: the servers make up their minds late"
