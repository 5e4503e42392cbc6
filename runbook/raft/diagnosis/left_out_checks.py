"""Checks of the servers that a recovery left out: one is back, one was replaced, or their list cannot be read."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.raft.diagnosis.context import DiagnosisContext
from runbook.raft.diagnosis.findings import Certainty, Finding, Server, Severity
from runbook.raft.left_out import LeftOutServer, how_to_keep_out, replacement_of, sentence_of_return


def left_out_findings(context: DiagnosisContext) -> Iterator[Finding]:
    """Everything that one look shows of them."""
    if back := list(context.returned):
        yield Finding(
            "LeftOutReturned",
            Severity.CRITICAL,
            Certainty.CERTAIN,
            sentence_of_return(back),
            tuple(f"{server.label}: {sign}" for server in back for sign in context.returned[server])
            + tuple(dict.fromkeys(f"left out by {server.run}" for server in back)),
            how_to_keep_out(back),
            tuple(map(_server_of, back)),
        )
    if context.left_out.unread:
        yield Finding(
            "LeftOutUnread",
            Severity.WARNING,
            Certainty.CERTAIN,
            "a list of servers that a recovery left out cannot be read, so nobody sees whether one is back",
            context.left_out.unread,
            "Read it, keep out whom it names, and move it elsewhere",
        )
    for server in context.left_out.servers:
        if new := replacement_of(context.view, server):
            yield Finding(
                "LeftOutReplaced",
                Severity.NOTICE,
                Certainty.CERTAIN,
                f"another server is listed at the address of {server.label}, which a recovery left out",
                (f"{new.address} was {server.id} and is now {new.id}",),
                "Nothing: it is not watched for any more",
                (_server_of(server),),
            )


def _server_of(server: LeftOutServer) -> Server:
    return Server(server.id, server.address, server.label)
