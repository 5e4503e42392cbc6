"""The steps that playbooks of these tests may use: the real names, so that the real steps can take their place."""

from __future__ import annotations

from runbook.playbook.model import Effect, Field, StepDeclaration

_PEER_KEYS = ("id", "address", "name")
STEPS = (
    StepDeclaration(
        "raft.snapshot",
        "Keep the configuration of every reachable server.",
        Effect.READ,
        results=(
            Field("fingerprint", "string", "what a fence compares"),
            Field("voters", "int", "voters in the configuration"),
            Field("quorum", "int", "voters needed"),
            Field("tolerance", "int", "voters that may still die"),
            Field("leader", "string", "id of the leader"),
        ),
    ),
    StepDeclaration(
        "raft.find_dead",
        "Judge every peer dead, alive or unknown.",
        Effect.READ,
        parameters=(
            Field("confirm_for", "duration", "how long a server must show no sign of life", default=30.0),
            Field("looks", "int", "how many looks", default=3, min=2),
            Field("agree", "string", "who must agree", default="majority", choices=("majority", "all")),
        ),
        results=(
            Field("peers", "list", "the dead peers", items=(*_PEER_KEYS, "voter")),
            Field("count", "int", "how many there are"),
        ),
    ),
    StepDeclaration(
        "raft.check_quorum",
        "Prove that removing these peers is safe.",
        Effect.READ,
        parameters=(Field("remove", "list", "the peers to remove", required=True),),
        results=(
            Field("removals", "list", "the removals, in order", items=(*_PEER_KEYS, "voter", "method")),
            Field("safe", "bool", "whether all of them are safe"),
        ),
    ),
    StepDeclaration(
        "raft.remove_peer",
        "Take one dead peer out of the configuration.",
        Effect.CHANGE,
        parameters=(Field("peer", "string", "id of the peer", required=True),),
        results=(Field("id", "string", "id of the peer"), Field("outcome", "string", "what came of it")),
    ),
    StepDeclaration(
        "raft.verify",
        "Wait until the cluster is well, and stays so.",
        Effect.READ,
        parameters=(
            Field("within", "duration", "how long to wait", default=120.0),
            Field("successes", "int", "good looks in a row", default=3, min=1),
            Field("watch_for", "duration", "how long to watch afterwards", default=70.0),
        ),
        results=(Field("voters", "int", "voters now"), Field("tolerance", "int", "voters that may still die")),
    ),
    StepDeclaration(
        "http.request",
        "Ask a server over HTTP.",
        Effect.UNKNOWN,
        parameters=(
            Field("url", "url", "whom to ask", required=True, secret_ok=True),
            Field("method", "enum", "how to ask", default="GET", choices=("GET", "POST", "PUT", "DELETE")),
            Field("headers", "map", "what to send along", secret_ok=True),
            Field("body", "any", "what to send", secret_ok=True),
            Field("json", "any", "data to send", secret_ok=True),
            Field("expect", "list", "the statuses that are good"),
        ),
        results=(Field("status", "int", "the status"), Field("json", "any", "the answer")),
        at_most_one=("body", "json"),
    ),
    StepDeclaration(
        "command.run",
        "Run a command on this host.",
        Effect.UNKNOWN,
        parameters=(
            Field("argv", "list", "the command and its arguments"),
            Field("shell", "string", "a line for a shell"),
            Field("env", "map", "more environment", secret_ok=True),
            Field("limit", "int", "bytes of output that are kept", default=10_000, min=1, max=1_000_000),
        ),
        results=(Field("exit_code", "int", "the exit code"), Field("stdout", "string", "what it printed")),
        exactly_one=("argv", "shell"),
    ),
    StepDeclaration(
        "notify.webhook",
        "Tell people.",
        Effect.CHANGE,
        parameters=(
            Field("url", "url", "where to", required=True, secret_ok=True),
            Field("text", "string", "what to tell", required=True),
        ),
        guarded=False,
    ),
    StepDeclaration(
        "log.message",
        "Say something in the record.",
        Effect.READ,
        parameters=(Field("text", "string", "what to say", required=True),),
    ),
    StepDeclaration(
        "approve",
        "Ask a person.",
        Effect.READ,
        parameters=(Field("prompt", "string", "the question", required=True),),
        results=(Field("who", "string", "who agreed"),),
    ),
    StepDeclaration(
        "set",
        "Name a value.",
        Effect.READ,
        parameters=(Field("value", "any", "the value", required=True),),
        results=(Field("value", "any", "the value"),),
    ),
    StepDeclaration(
        "wait.for",
        "Wait.",
        Effect.READ,
        parameters=(Field("duration", "duration", "how long", required=True, max=3600.0),),
    ),
    StepDeclaration(
        "assert",
        "Hold that something is so.",
        Effect.READ,
        parameters=(Field("that", "bool", "what must be so", required=True),),
    ),
)
CATALOGUE = {step.name: step for step in STEPS}
