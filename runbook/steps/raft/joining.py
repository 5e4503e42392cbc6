"""What the steps share by which a server joins a cluster empty: started once where it must be, and waited for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from runbook.clock import wait
from runbook.cluster.port import adding
from runbook.errors import ClusterError, ErrorKind, StepError
from runbook.events import Waiting
from runbook.hosts.host import Host, Running, open_host
from runbook.hosts.once import OnceHost
from runbook.hosts.process_command import ProcessCommand
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import ClusterView, Configuration, Peer

if TYPE_CHECKING:
    from runbook.steps.context import StepContext

PAUSE, SETTLE = 1.0, 700.0  # seconds between two looks, and for what an earlier process has begun on a host
TAKES_NONE = 60.0  # seconds in which a member is asked for again: etcd takes none until all have been connected for 5 s
TOLD_EVERY = 60.0  # seconds after which it is told again that a vote is waited for
MODE = "0600"


def settled_host(context: StepContext, told: Any) -> OnceHost:
    """The host, once what a run that was killed has begun there is over: it ends by itself. Raises StepError."""
    host = OnceHost(open_host(told).spec)
    data = host.spec.data_folder

    def over() -> bool | None:
        return None if host.runs_once(data) else True

    if wait(context.clock, over, every=lambda *_: PAUSE, within=context.left(SETTLE)) is None:
        what = f"{host.spec.label}: a server is still being started once there, as {data}.once says"
        raise StepError(ErrorKind.TIMEOUT, what, "Look on that host; then resume this run")
    return host


def start_once(
    host: OnceHost, command: ProcessCommand, config: str | None, settings: Mapping[str, Any], within: float
) -> None:
    """etcd, by this command with these settings, as the owner of the data folder, until it has a leader."""
    from runbook.cluster.etcd.once import THERE, started_once

    data, path = host.spec.data_folder, f"{host.spec.data_folder}.once.yaml"
    once = started_once(command, config, settings, path)
    if once.config is not None:
        host.write_file(path, once.config, mode=MODE, like=data)
    spare = path if once.config is not None else ""
    host.run_once(once.words, folder=command.folder, like=data, until_said=THERE, within=within, spare=spare)


def join_settings(listed: Mapping[str, str], member: str, name: str) -> dict[str, str]:
    """As etcd wants it of a member that starts for the first time: all of them, and itself by its own name."""
    cluster = ",".join(
        ",".join(f"{name}{url}" for url in urls.split(",")) if each == member else urls for each, urls in listed.items()
    )
    return {"initial-cluster": cluster, "initial-cluster-state": "existing"}


def add_as_learner(context: StepContext, peer_urls: tuple[str, ...], within: float) -> tuple[str, Mapping[str, str]]:
    """The member's id, and what is listed then; see :class:`runbook.cluster.port.AddingCluster`.

    Asked for again while the cluster is not ready to take one, as right after its recovery. Raises ClusterError.
    """
    cluster, refused = adding(context.cluster), ""

    def added() -> tuple[str, Mapping[str, str]] | None:
        nonlocal refused
        try:
            return cluster.add_learner(peer_urls, within=context.left(within))
        except ClusterError as error:
            if error.kind is not ErrorKind.UNAVAILABLE:
                raise
            if str(error) != refused:
                refused = str(error)
                context.emit(Waiting(context.step, round(context.left(TAKES_NONE), 1), refused))
            return None

    found = wait(context.clock, added, every=lambda *_: PAUSE, within=context.left(TAKES_NONE))
    if found is None:
        what = f"{context.cluster.name} has taken no new member for {TAKES_NONE:g} s: {refused}"
        raise ClusterError(ErrorKind.UNAVAILABLE, what, "See with runbook diagnose which member is not in contact")
    return found


def wait_for_vote(
    context: StepContext, host: Host, find: Callable[[Configuration], Peer | None], within: float, *, added: bool
) -> tuple[Peer, Configuration]:
    """The server that ``find`` finds, once it votes and is seen alive, and the configuration then.

    Of a cluster whose members are ``added``, the vote is asked for again and again, as etcd refuses it until the
    learner has copied nearly all; and only for one that is seen alive: with the vote of one that is not, quorum would
    be lost. Raises ClusterError where it has none in time.
    """
    why_not, told, told_at = "no look was completed", "", 0.0

    def votes() -> tuple[Peer, Configuration] | None:
        nonlocal why_not, told, told_at
        found, why_not = _vote_in(context, context.look(), host, find, added=added)
        now = context.clock.monotonic()
        if why_not and (why_not != told or now - told_at >= TOLD_EVERY):
            told, told_at = why_not, now
            context.emit(Waiting(context.step, round(context.left(within), 1), f"{host.spec.server}: {why_not}"))
        return found

    found = wait(context.clock, votes, every=lambda *_: PAUSE, within=within)
    if found is None:
        what = f"{host.spec.label}: it has no vote after {within:g} s: {why_not}"
        raise ClusterError(ErrorKind.TIMEOUT, what, "Read its log; then resume this run")
    return found


def _vote_in(
    context: StepContext,
    view: ClusterView,
    host: Host,
    find: Callable[[Configuration], Peer | None],
    *,
    added: bool,
) -> tuple[tuple[Peer, Configuration] | None, str]:
    """The voter in this look, or why it is none yet."""
    if view.configuration is None:
        return None, "the cluster has no leader"
    peer = find(view.configuration)
    if peer is None:
        return None, "it is not listed yet"
    if judge_once(view, peer).liveness is not Liveness.ALIVE or host.service().running is not Running.RUNS:
        return None, "it is listed, and not seen alive yet"
    if peer.voter:
        return (peer, view.configuration), ""
    if added:
        try:
            adding(context.cluster).promote(peer.id, within=context.left(SETTLE))
        except ClusterError as error:
            if error.kind not in (ErrorKind.UNAVAILABLE, ErrorKind.AMBIGUOUS, ErrorKind.TIMEOUT):
                raise
            return None, str(error)
    return None, "it is alive, and has no vote yet"
