"""One check from request to result: one look, what it means, who is told of it, and what is kept for the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from runbook.clock import Clock
from runbook.clock import seconds as now
from runbook.cluster.choice import BY_ENVIRONMENT, ClusterChoice
from runbook.cluster.threads import Begun, within
from runbook.dataclass import dataclass
from runbook.errors import ClusterError, RunbookError, SettingsError
from runbook.inspection.check_look import LookedAt, SnapshotRule, identity_of, look_at_cluster, one_line
from runbook.inspection.check_memory import NO_MEMORY, CheckMemory, keep_memory, memory_file, read_memory
from runbook.inspection.notices import CheckNotice, told, watch
from runbook.inspection.telling import Send, learn_url, notice_body, ping_address, send
from runbook.raft.diagnosis.check_result import CheckResult, ClusterIdentity, with_thresholds
from runbook.raft.diagnosis.findings import command_for
from runbook.raft.diagnosis.health import UNKNOWN
from runbook.raft.diagnosis.thresholds import NO_THRESHOLDS, Thresholds
from runbook.redaction import Redactor
from runbook.session.run_folders import state_folder

SENDING = 2.0  # seconds for a ping and a notice, beside each other
START = 1.0  # seconds for the ping of the beginning, beside the look

Look = Callable[["CheckRequest", Mapping[str, str], Redactor, CheckMemory], LookedAt]


@dataclass(frozen=True)
class CheckRequest:
    """What was asked for: of which cluster, within how many seconds in all, and who is to hear of it."""

    choice: ClusterChoice = BY_ENVIRONMENT
    timeout: float = 9.0
    thresholds: Thresholds = NO_THRESHOLDS
    snapshots: SnapshotRule | None = None
    ping: str = ""
    notify: str = ""

    @property
    def sending(self) -> float:
        """The seconds that are kept for it."""
        return min(SENDING, self.timeout / 4) if self.ping or self.notify else 0.0


def look_within(
    request: CheckRequest, environment: Mapping[str, str], redactor: Redactor, kept: CheckMemory
) -> LookedAt:
    """See :func:`look_at_cluster`."""
    return look_at_cluster(request.choice, request.snapshots, environment, redactor, kept.pulse)


def check_cluster(
    request: CheckRequest,
    environment: Mapping[str, str],
    redactor: Redactor,
    clock: Clock,
    *,
    look: Look = look_within,
    post: Send = send,
) -> CheckResult:
    """Never raises, and takes no longer than the request says, whatever is looked at and whoever is told."""
    began = clock.monotonic()
    for url in filter(None, (request.ping, request.notify)):
        learn_url(redactor, url)
    started = Begun(lambda: post(ping_address(request.ping, None), b"", START)) if request.ping else None
    identity, path, kept = _identify(request, environment)
    result, pulse = _look(request, identity, lambda: look(request, environment, redactor, kept), clock)
    result = replace(result, remarks=redactor.hide(list(result.remarks)))
    watched, notice = watch(kept.watched, result.level, result.name, datetime.fromisoformat(clock.now()).timestamp())
    result = replace(result, flapping=watched.now.flapping)
    if started is not None:
        with suppress(Exception):  # an end that came before its beginning would be taken for one that never ended
            started.result(max(0.01, request.timeout - request.sending / 2 - (clock.monotonic() - began)))
    trouble = _tell(request, result, notice, redactor, post, request.timeout - (clock.monotonic() - began))
    if notice is not None and request.notify and not trouble["notify"]:
        watched = told(watched, notice)
    unkept = "" if path is None else keep_memory(path, identity.name, CheckMemory(watched, pulse or kept.pulse))
    trouble["state"] = unkept if request.notify else ""
    remarks = (*result.remarks, *(f"{what}: {redactor.hide(why)}" for what, why in trouble.items() if why))
    return replace(result, remarks=remarks)


def _identify(
    request: CheckRequest, environment: Mapping[str, str]
) -> tuple[ClusterIdentity, Path | None, CheckMemory]:
    try:
        identity = identity_of(request.choice, environment)
    except RunbookError:  # the look tells it
        identity = ClusterIdentity(request.choice.name or "", request.choice.kind or "", "")
    try:
        state = state_folder(environment)
    except SettingsError:
        return identity, None, NO_MEMORY
    way = [request.thresholds.texts, request.notify, request.snapshots and request.snapshots.texts]
    path = memory_file(state, f"{identity.name} {identity.instance}", way)
    return identity, path, read_memory(path)


def _look(
    request: CheckRequest, identity: ClusterIdentity, look: Callable[[], LookedAt], clock: Clock
) -> tuple[CheckResult, object]:
    """And the sample for the next look."""
    limit = request.timeout - request.sending
    began = clock.monotonic()
    try:
        looked = within(limit, look)
    except Exception as error:
        late = isinstance(error, TimeoutError)
        why = f"the look did not finish within {limit:g} s" if late else one_line(error)
        then = f"; next: {command_for(identity.name, None)}" if late or isinstance(error, ClusterError) else ""
        return CheckResult(identity, UNKNOWN, f"{why}{then}", clock.monotonic() - began), None
    health = looked.health
    result = CheckResult(
        identity, health.level, health.sentence, clock.monotonic() - began, health, remarks=looked.remarks
    )
    return with_thresholds(result, request.thresholds), looked.pulse


def _tell(
    request: CheckRequest, result: CheckResult, notice: CheckNotice | None, redactor: Redactor, post: Send, left: float
) -> dict[str, str]:
    """Both at once; by what was to be done what went wrong with it."""
    seconds, begun = max(0.1, min(SENDING, left)), dict[str, Begun[str]]()
    if request.ping:
        address, line = ping_address(request.ping, result), redactor.hide(result.sentence).encode("utf-8", "replace")
        begun["ping"] = Begun(lambda: post(address, line, seconds))
    if request.notify and notice is not None:
        body = redactor.hide_bytes(notice_body(notice, result))
        begun["notify"] = Begun(lambda: post(request.notify, body, seconds))
    trouble, until = {"notify": ""}, now() + seconds
    for what, work in begun.items():
        try:
            trouble[what] = work.result(max(0.01, until - now()))
        except Exception as error:
            trouble[what] = "no answer in time" if isinstance(error, TimeoutError) else one_line(error)
    return trouble
