"""The check of many clusters from request to result: each is looked at, and whoever is to hear of a change hears of it.

One ping for all of them, and one notice for each that changed; what is kept for the next check is in one file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from runbook.clock import Clock
from runbook.clock import seconds as now
from runbook.cluster.inventory.connect import connect
from runbook.cluster.inventory.model import InventoryCluster
from runbook.cluster.threads import Begun
from runbook.dataclass import dataclass
from runbook.errors import SettingsError
from runbook.fleet.check import CheckedCluster, check_clusters, gather_checks, identity_in_fleet
from runbook.inspection.check import SENDING, START
from runbook.inspection.check_look import LookedAt, look_and_judge, one_line
from runbook.inspection.check_memory import NO_MEMORY, CheckMemory, keep_memories, memory_file, read_memories
from runbook.inspection.notices import CheckNotice, told, watch
from runbook.inspection.telling import Send, learn_url, notice_body, ping_address, send
from runbook.raft.diagnosis.findings import format_count
from runbook.raft.diagnosis.thresholds import NO_THRESHOLDS, Thresholds
from runbook.redaction import Redactor
from runbook.session.run_folders import state_folder

NOTICES_WITHIN = 10.0  # seconds for all of them; what did not arrive comes again with the next check
NOTICES_AT_ONCE = 16
Look = Callable[[InventoryCluster, CheckMemory], LookedAt]
Remembered = Callable[[InventoryCluster], CheckMemory]


@dataclass(frozen=True)
class FleetCheckRequest:
    """What was asked for. ``timeout`` is that of each cluster; ``inventory`` and ``labels`` say which fleet it is."""

    inventory: str
    labels: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 9.0
    at_once: int = 16
    thresholds: Thresholds = NO_THRESHOLDS
    ping: str = ""
    notify: str = ""


@dataclass(frozen=True)
class FleetChecked:
    """Each cluster, worst first. ``remarks`` are what went wrong beside the looks: they are said, and fail nothing."""

    clusters: tuple[CheckedCluster, ...]
    seconds: float
    interrupted: bool
    remarks: tuple[str, ...] = ()


Checks = Callable[[FleetCheckRequest, Sequence[InventoryCluster], Remembered], Iterator[CheckedCluster]]
"""The checks of these clusters, each as soon as it is there: by this process, or by others."""


def checks_here(look: Look) -> Checks:
    """A few at a time, in threads of this process."""

    def checks(
        request: FleetCheckRequest, clusters: Sequence[InventoryCluster], remembered: Remembered
    ) -> Iterator[CheckedCluster]:
        return check_clusters(
            clusters,
            lambda cluster: look(cluster, remembered(cluster)),
            timeout=request.timeout,
            at_once=request.at_once,
            thresholds=request.thresholds,
        )

    return checks


def look_from_here(environment: Mapping[str, str], redactor: Redactor) -> Look:
    """With this machine's credentials, which the ``redactor`` learns."""

    def look(cluster: InventoryCluster, kept: CheckMemory) -> LookedAt:
        connected = connect(cluster, environment, read_only=True, patient=False)
        redactor.learn_all(connected.secrets)
        return look_and_judge(connected, None, environment, kept.pulse)

    return look


def check_fleet(
    request: FleetCheckRequest,
    clusters: Sequence[InventoryCluster],
    checks: Checks,
    environment: Mapping[str, str],
    redactor: Redactor,
    clock: Clock,
    *,
    tick: Callable[[], None] = lambda: None,
    post: Send = send,
) -> FleetChecked:
    """``tick`` is called as each is checked. Interrupted, it gives what was seen by then, and nobody is told of it."""
    began = now()
    for url in filter(None, (request.ping, request.notify)):
        learn_url(redactor, url)
    started = Begun(lambda: post(ping_address(request.ping, None), b"", START)) if request.ping else None
    path = _memory(request, environment)
    kept = read_memories(path) if path else {}
    begun = checks(request, clusters, lambda cluster: kept.get(_key(cluster), NO_MEMORY))
    checked, interrupted = gather_checks(_ticking(begun, tick), clusters)
    whole = FleetChecked(checked, now() - began, interrupted)
    if interrupted:
        return whole
    if started is not None:
        with suppress(Exception):  # an end that came before its beginning would be taken for one that never ended
            started.result(START)
    whole = _told(whole, request, kept, path, redactor, clock, post)
    return replace(whole, remarks=(*whole.remarks, *_pinged(whole, request.ping, redactor, post)))


def _key(cluster: InventoryCluster) -> str:
    identity = identity_in_fleet(cluster)
    return f"{identity.name} {identity.instance}"


def _memory(request: FleetCheckRequest, environment: Mapping[str, str]) -> Path | None:
    try:
        state = state_folder(environment)
    except SettingsError:
        return None
    way = [request.thresholds.texts, request.notify, dict(request.labels)]
    return memory_file(state, f"fleet {request.inventory}", way)


def _ticking(checks: Iterator[CheckedCluster], tick: Callable[[], None]) -> Iterator[CheckedCluster]:
    for checked in checks:
        tick()
        yield checked


def _told(
    whole: FleetChecked,
    request: FleetCheckRequest,
    kept: Mapping[str, CheckMemory],
    path: Path | None,
    redactor: Redactor,
    clock: Clock,
    post: Send,
) -> FleetChecked:
    """With what flaps. Of each that changed once, worst first; what did not arrive is not kept as told."""
    at = datetime.fromisoformat(clock.now()).timestamp()
    memories, notices, clusters = dict[str, CheckMemory](), dict[str, tuple[CheckNotice, bytes]](), []
    for checked in whole.clusters:
        key, result = _key(checked.cluster), checked.result
        before = kept.get(key, NO_MEMORY)
        watched, notice = watch(before.watched, result.level, result.name, at)
        result = replace(result, flapping=watched.now.flapping)
        clusters.append(replace(checked, result=result))
        memories[key] = CheckMemory(watched, checked.pulse or before.pulse)
        if notice is not None and request.notify:
            notices[key] = notice, redactor.hide_bytes(notice_body(notice, result))
    trouble = _send_all({key: body for key, (_, body) in notices.items()}, request.notify, post)
    for key, (notice, _) in notices.items():
        memory = memories[key]
        if key not in trouble and memory.watched is not None:
            memories[key] = replace(memory, watched=told(memory.watched, notice))
    unkept = keep_memories(path, memories) if path else ""
    remarks = []
    if trouble:
        count = f"{len(trouble)} of {format_count(len(notices), 'notice')}"
        remarks.append(f"notify: {count} did not arrive: {redactor.hide(next(iter(trouble.values())))}")
    if unkept and request.notify:
        remarks.append(f"state: {unkept}")
    return replace(whole, clusters=tuple(clusters), remarks=tuple(remarks))


def _send_all(bodies: Mapping[str, bytes], url: str, post: Send) -> dict[str, str]:
    """By what was to be sent why it did not arrive, where it did not."""
    trouble, until, keys = dict[str, str](), now() + NOTICES_WITHIN, list(bodies)
    for at in range(0, len(keys), NOTICES_AT_ONCE):
        began = now()
        seconds = min(SENDING, until - began)
        batch = keys[at : at + NOTICES_AT_ONCE]
        if seconds <= 0:
            trouble.update(dict.fromkeys(batch, f"there was no time left after {NOTICES_WITHIN:g} s"))
            continue
        begun = {key: Begun(partial(post, url, bodies[key], seconds)) for key in batch}
        trouble.update({key: why for key, work in begun.items() if (why := _outcome(work, began + seconds))})
    return trouble


def _outcome(work: Begun[str], until: float) -> str:
    try:
        return work.result(max(0.01, until - now()))
    except Exception as error:
        return "no answer in time" if isinstance(error, TimeoutError) else one_line(error)


def _pinged(whole: FleetChecked, url: str, redactor: Redactor, post: Send) -> tuple[str, ...]:
    """Of the fleet as a whole: its level is that of the worst."""
    if not url:
        return ()
    worst = whole.clusters[0].result
    line = f"{format_count(len(whole.clusters), 'cluster')}, the worst {worst.identity.name}: {worst.sentence}"
    body = redactor.hide(line).encode("utf-8", "replace")
    why = _outcome(Begun(lambda: post(ping_address(url, worst), body, SENDING)), now() + SENDING)
    return (f"ping: {redactor.hide(why)}",) if why else ()
