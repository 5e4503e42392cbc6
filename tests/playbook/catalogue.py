"""The steps that playbooks of these tests may use: as the real ones declare themselves.

A copy, so that a change of a declaration shows in the files of faults that it changes.
"""

from __future__ import annotations

from runbook.playbook.model import Effect, Field, StepDeclaration

STEPS = (
    StepDeclaration(
        "raft.snapshot",
        "Keep the configuration of every reachable server, and the cluster's own state snapshot, its digest verified.",
        Effect.READ,
        results=(
            Field("voters", "int", "voters in the leader's configuration"),
            Field("quorum", "int", "how many of them must agree"),
            Field("tolerance", "int", "how many more may fail"),
            Field("leader", "string", "id of the leader"),
            Field("fingerprint", "string", "what a fence compares"),
        ),
    ),
    StepDeclaration(
        "raft.find_dead",
        "Look several times, and name the peers that show no sign of life from any vantage in any look.",
        Effect.READ,
        parameters=(
            Field("confirm_for", "duration", "how long a peer must show no sign of life", default=30.0, min=0),
            Field("looks", "int", "how many looks are spread over that time", default=3, min=2, max=100),
        ),
        results=(
            Field("peers", "list", "the dead peers", items=("id", "address", "name", "voter")),
            Field("count", "int", "how many they are"),
            Field("confirm_for", "duration", "how long each showed no sign of life"),
            Field("looks", "int", "over how many looks at least"),
        ),
    ),
    StepDeclaration(
        "raft.check_quorum",
        "Prove that these peers may be removed one after the other, or refuse with the numbers.",
        Effect.READ,
        parameters=(Field("remove", "list", "the peers to remove", required=True),),
        results=(
            Field("removals", "list", "the removals in their safe order", items=("id", "address", "name", "voter")),
            Field("fence", "map", "what they were planned on: leader, term, peers, removals"),
        ),
    ),
    StepDeclaration(
        "raft.remove_peer",
        "Look, ask the guard again, write the intent, remove one peer, and look again until it is settled.",
        Effect.CHANGE,
        parameters=(Field("peer", "string", "id of the peer", required=True),),
        results=(
            Field("id", "string", "id of the peer"),
            Field("outcome", "string", "removed or already_gone"),
        ),
    ),
    StepDeclaration(
        "raft.verify",
        "Hold that every reachable server agrees several times in a row, and that nobody has been added back.",
        Effect.READ,
        parameters=(
            Field("within", "duration", "how long agreement may take", default=120.0, min=0),
            Field("successes", "int", "how many looks in a row must agree", default=3, min=1, max=100),
            Field("watch_for", "duration", "how long to watch for a peer that is added back", default=70.0, min=0),
        ),
        results=(
            Field("voters", "int", "voters in the end"),
            Field("tolerance", "int", "how many more may fail"),
        ),
    ),
    StepDeclaration(
        "http.request",
        "Send one HTTP request, without a proxy, and keep the answer. A status that is not expected fails the step.",
        Effect.UNKNOWN,
        parameters=(
            Field(
                "url",
                "url",
                "where to: http:// or https://, without a user or password in it",
                required=True,
                secret_ok=True,
            ),
            Field(
                "method",
                "enum",
                "the HTTP method",
                default="GET",
                choices=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
            ),
            Field("headers", "map", "headers by name", secret_ok=True),
            Field("body", "string", "what to send, as it is", secret_ok=True),
            Field("json", "any", "data to send as JSON, instead of body", secret_ok=True),
            Field("expect", "list", "the statuses that are good; every 2xx where nothing is said"),
            Field("timeout", "duration", "how long the whole exchange may take", default=10.0, min=0.001),
            Field("follow", "bool", "follow 5 redirects of a GET or HEAD; no header goes elsewhere", default=False),
            Field("ca", "path", "a file of certificates to trust instead of the machine's own"),
        ),
        results=(
            Field("status", "int", "the status of the answer"),
            Field("headers", "map", "its headers, their names in lower case, without set-cookie"),
            Field("body", "string", "its body as text; more than 256 KiB fail the step"),
            Field("json", "any", "its body as data, or null where it is no JSON or has more than 60 levels"),
        ),
        at_most_one=("body", "json"),
    ),
    StepDeclaration(
        "command.run",
        "Run a program on this host, keep what it prints, and fail when it does not end well in time.",
        Effect.UNKNOWN,
        parameters=(
            Field("argv", "list", "the program and its arguments, no shell; the process list shows them"),
            Field("shell", "string", "a line for /bin/sh instead of argv, where a shell is truly wanted"),
            Field("env", "map", "variables beside PATH, HOME, USER, TMPDIR, TZ and the locale", secret_ok=True),
            Field("cwd", "path", "the folder to run in; the one where runbook was started if nothing is said"),
            Field("input", "string", "its standard input; nothing where nothing is said", secret_ok=True),
            Field("exits", "list", "the exit codes that are good; 0 where nothing is said"),
            Field(
                "timeout", "duration", "after it the program and all its children are killed", default=60.0, min=0.001
            ),
        ),
        results=(
            Field("exit_code", "int", "its exit code"),
            Field("stdout", "string", "its output, at most the first and the last 32 KiB"),
            Field("stderr", "string", "its error output, at most the first and the last 32 KiB"),
            Field("left_out", "int", "how many bytes of both were not kept"),
        ),
        exactly_one=("argv", "shell"),
    ),
    StepDeclaration(
        "file.write",
        "Write a file on this host, whole or not at all. A file that is there is replaced and keeps its owner.",
        Effect.CHANGE,
        parameters=(
            Field("path", "path", "where; a relative path is inside the run's files", required=True),
            Field("content", "string", "what, at most 1 MiB", required=True),
            Field(
                "mode", "string", "who may do what with it, in quotes as YAML reads 0600 as a number", default="0600"
            ),
        ),
        results=(
            Field("path", "string", "where it is, from the root"),
            Field("bytes", "int", "its size"),
            Field("sha256", "string", "its digest"),
            Field("changed", "bool", "false where the file was so already, and was not touched"),
        ),
        guarded=False,
    ),
    StepDeclaration(
        "wait.for",
        "Let time pass. Where something can be looked at instead, wait.until is better.",
        Effect.READ,
        parameters=(
            Field("duration", "duration", "how long", required=True, min=0, max=86400.0),
            Field("reason", "string", "what for, as it is told meanwhile", default="as the playbook says"),
        ),
    ),
    StepDeclaration(
        "wait.until",
        "Look at the cluster and say what is there. With until, every and within on the step it looks again and again.",
        Effect.READ,
        results=(
            Field("leader", "string", "the leader's name, or null where there is none"),
            Field("voters", "int", "voters in the configuration; 0 where no server answers"),
            Field("alive", "int", "how many of them are alive by this look"),
            Field("quorum", "int", "how many must agree"),
            Field("tolerance", "int", "how many more may fail"),
        ),
    ),
    StepDeclaration(
        "assert",
        "Go on only if this holds; else fail with your own words.",
        Effect.READ,
        parameters=(
            Field("that", "bool", "an expression in ${{ }} that is true or false", required=True),
            Field("else", "string", "what to tell where it is false", required=True),
        ),
    ),
    StepDeclaration(
        "set",
        "Give names to values, so that an expression is written once.",
        Effect.READ,
        parameters=(Field("values", "map", "the values by name", required=True),),
        results=(Field("values", "map", "the same values, worked out"),),
    ),
    StepDeclaration(
        "approve",
        "Ask the person at the terminal, and go on only after a yes. Without a terminal it is refused, but for --yes.",
        Effect.READ,
        parameters=(
            Field("prompt", "string", "what they agree to, in one sentence", required=True),
            Field("within", "duration", "how long they may take", default=600.0, min=1, max=86400.0),
        ),
        results=(
            Field("who", "string", "who agreed"),
            Field("at", "string", "when, in UTC"),
        ),
    ),
    StepDeclaration(
        "notify.webhook",
        "Tell somebody by a webhook. It touches no cluster, so it needs no guard; a dry run does not send it.",
        Effect.CHANGE,
        parameters=(
            Field(
                "url",
                "url",
                "the webhook, best a secret: whoever has it can write there",
                required=True,
                secret_ok=True,
            ),
            Field("text", "string", 'what to say; it is sent as {"text": …}, as Slack, Mattermost and Teams take it'),
            Field("json", "any", "data to send instead of text", secret_ok=True),
            Field("timeout", "duration", "how long it may take", default=10.0, min=0.001),
        ),
        results=(Field("status", "int", "the status of the answer"),),
        guarded=False,
        exactly_one=("text", "json"),
    ),
    StepDeclaration(
        "log.message",
        "Say something to whoever reads along, now or in the record.",
        Effect.READ,
        parameters=(Field("text", "string", "what to say, at most 4,000 characters of it", required=True),),
    ),
    StepDeclaration(
        "playbook.run",
        "Run another playbook to its end, its steps in the same record and under the same guards.",
        Effect.UNKNOWN,
        parameters=(
            Field("playbook", "path", "the file; a relative path begins in this playbook's folder", required=True),
            Field("params", "map", "its params by name"),
        ),
        results=(Field("outcome", "string", "how it ended, in its own words"),),
    ),
)
CATALOGUE = {step.name: step for step in STEPS}
