"""The plan of a recovery as a person reads it, and the commands to paste on each host, with the file in them."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import replace

from runbook.raft.forced_recovery_text import force_new_cluster
from runbook.raft.lost_quorum_plan import Ground, RecoveryPlan, Survivor
from runbook.raft.model import Peer
from runbook.raft.quorum import quorum
from runbook.raft.recovery_shell import check, fence, folder, heading, stop

GROUNDS = {
    Ground.INACTIVE: "its port is refused, and on its host it was seen that it does not run",
    Ground.FENCED: "it is fenced: it cannot come back by itself",
    Ground.NAMED: "A PERSON SAYS THAT IT IS LOST; nothing else shows it",
}
WIDTH = 78  # of a terminal with 80 columns, so that nothing wraps it again
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def format_plan(plan: RecoveryPlan, unit: str | None = None) -> list[str]:
    """The whole plan. Every line that does not begin with ``#`` is for a shell on the host named above it.

    Args:
        unit: What the servers' systemd unit is called; the product's usual name where it is None.
    """
    unit, plan = unit or plan.files.unit, _printable(plan)
    commands = force_new_cluster(plan, unit) if plan.files.forced else _by_peers_json(plan, unit)
    return [
        *_summary(plan),
        "",
        *commands,
        "# Then add new servers, one at a time, until there are as many voters as before.",
    ]


def _by_peers_json(plan: RecoveryPlan, unit: str) -> list[str]:
    return [
        *heading("1. On every survivor: stop it, keep a copy, write the file. Start none before all have it."),
        *(line for one in plan.survivors for line in ("", *_write(plan, one, unit))),
        "",
        *heading("2. Start them, in this order, one right after the other: the furthest log first."),
        *(line for one in plan.survivors for line in _start(plan, one, unit)),
        "",
        *heading("3. Look. There is a leader, every survivor is listed, and nobody else is."),
        "",
        plan.files.look,
        "runbook diagnose",
        "",
        *heading("4. On each server left out, as soon as its machine is up, BEFORE the others can reach it."),
        *(line for one in plan.left_out for line in ("", *fence(plan, one, unit))),
        "",
    ]


def format_summary(plan: RecoveryPlan) -> list[str]:
    """Who goes on, who does not, and what may be lost; without the commands."""
    return [line.removeprefix("#").removeprefix(" ") for line in _summary(_printable(plan))]


def _printable(plan: RecoveryPlan) -> RecoveryPlan:
    """Servers choose their names, and a line break in one would end a comment, or the part of a host."""
    survivors = (replace(s, peer=_plain_peer(s.peer), version=_plain(s.version), data_dir=_plain(s.data_dir))
                 for s in plan.survivors)  # fmt: skip
    left_out = (replace(one, peer=_plain_peer(one.peer), seen=_plain(one.seen) or "") for one in plan.left_out)
    losses = tuple(_plain(loss) or "" for loss in plan.losses)
    name = _plain(plan.cluster) or ""
    return replace(plan, cluster=name, survivors=tuple(survivors), left_out=tuple(left_out), losses=losses)


def _plain_peer(peer: Peer) -> Peer:
    return replace(peer, id=_plain(peer.id) or "", address=_plain(peer.address) or "", name=_plain(peer.name))


def _plain(text: str | None) -> str | None:
    return text and "".join(c if c.isprintable() else REPLACEMENT for c in text)


def _summary(plan: RecoveryPlan) -> Iterator[str]:
    voters = [one for one in plan.starts if one.voter]
    told = f"{len(plan.starts)} servers go on, {len(plan.left_out)} are left out"
    if plan.files.forced:
        told = f"servers that go on: 1, that join it empty: {len(plan.anew)}, that are left out: {len(plan.left_out)}"
    yield from _wrapped(f"Recovery of {plan.cluster} by {plan.files.method}: {told}.", 0)
    many = "1 voter" if len(voters) == 1 else f"{len(voters)} voters"
    yield from _wrapped(f"Afterwards {many}, quorum {quorum(len(voters))}.", 0)
    yield "#"
    for one in plan.survivors:
        vote = "" if one.voter else ", without a vote"
        version = f", version {one.version}" if one.version else ""
        end = f"log ends at {one.log_end}"
        what = "is emptied" if one in plan.anew else "goes on   "
        yield from _wrapped(f"{what} {one.peer.label} ({one.peer.address}): {end}{vote}{version}", 11)
    for out in plan.left_out:
        ground = GROUNDS[out.ground] if out.ground else "nothing shows that it is lost"
        yield from _wrapped(f"left out   {out.peer.label} ({out.peer.address}): {ground}. {out.seen}", 11)
    yield "#"
    for loss in plan.losses:
        yield from _wrapped(f"- {loss}.", 2)
    yield "#"
    yield from _wrapped(
        "There is no way back but the copies that step 1 makes. If quorum can be had by starting servers again with "
        "their data, do that instead.",
        0,
    )


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent="# ", subsequent_indent=f"# {' ' * indent}", break_on_hyphens=False
    )


def _write(plan: RecoveryPlan, survivor: Survivor, unit: str) -> Iterator[str]:
    """One command to paste, which stops at the first thing that is not as it should be."""
    files = plan.files
    yield f"# on {survivor.peer.label} ({survivor.peer.address})"
    yield "sudo sh -eu <<'RECOVERY'"
    yield from folder(plan, survivor.data_dir)
    if survivor.peer.protocol != 2:
        own = f'[ "$(cat "$data"/{files.id_file})" = {shlex.quote(survivor.peer.id)} ]'
        missing = "" if files.tells_id else f'[ ! -e "$data"/{files.id_file} ] || '
        yield check(f"{missing}{own}", "this is not that server: its id is another one")
    unread = "the server would delete peers.json unread" if files.like == "peers.info" else "it has no Raft data"
    yield check(f'[ -e "$raft/{files.like}" ]', f"no {files.like}: {unread}")
    yield f'kept="${"raft" if files.copied else "data"}"'
    yield check('[ ! -e "$kept.before-recovery" ]', "there is a copy already: was this done before?")
    yield from stop(unit)
    yield 'cp -a "$kept" "$kept.before-recovery"'
    yield "cat > \"$raft/peers.json.new\" <<'PEERS'"
    yield from plan.text.splitlines()
    yield "PEERS"
    yield f'chown --reference="$raft/{files.like}" "$raft/peers.json.new"'
    yield 'chmod 0640 "$raft/peers.json.new"'
    yield 'sync "$raft/peers.json.new"'
    yield 'mv "$raft/peers.json.new" "$raft/peers.json"'
    yield 'sync "$raft"'
    yield f"echo {shlex.quote(f'{survivor.peer.label}: written')}"
    yield "RECOVERY"


def _start(plan: RecoveryPlan, survivor: Survivor, unit: str) -> Iterator[str]:
    yield ""
    yield f"# on {survivor.peer.label} ({survivor.peer.address})"
    yield f"sudo systemctl start {shlex.quote(unit)}"
    if plan.files.unseal:
        yield "# It reads peers.json as it is unsealed. Once for each key share that it needs:"
        yield f"{plan.files.unseal} -address={shlex.quote(survivor.url)}"
