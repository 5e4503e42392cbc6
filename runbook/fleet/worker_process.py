"""The process of `runbook worker`: Celery's own, told which queues it has and what it may be asked from afar."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

from celery import Celery, signals
from celery.exceptions import CPendingDeprecationWarning
from celery.worker.control import Panel

from runbook.clock import seconds as now
from runbook.dataclass import dataclass
from runbook.errors import NotStartedError, SettingsError
from runbook.files import make_folder
from runbook.fleet.broker import BrokerSettings, open_redis
from runbook.fleet.celery_app import ALLOWED_REMOTELY, add_tasks, make_app, queues_of, schedule_of
from runbook.fleet.shared import PRESENT, SharedState
from runbook.fleet.shared_lock import release_ended
from runbook.fleet.worker import WorkerPlace

log = logging.getLogger(__name__)
QUIET = ("celery.app.trace", "celery.worker.strategy", "urllib3")  # a line for each of thousands of checks
LIVED = 5.0  # seconds: what ends sooner would do so again
TASKS_PER_PROCESS = 10_000  # then a fresh one takes its place


@dataclass(frozen=True)
class WorkerOptions:
    """``every`` is the seconds between two checks of the region that it asks for itself; 0 where others ask."""

    concurrency: int
    every: float = 0.0


def work(settings: BrokerSettings, place: WorkerPlace, options: WorkerOptions, state: Path) -> int:
    """Until it is ended: SIGTERM lets what has begun end, and SIGQUIT interrupts it. Returns its exit code."""
    try:
        make_folder(state)
    except OSError as error:
        raise NotStartedError(f"{error.filename}: {error.strerror}. Name another folder in RUNBOOK_STATE_DIR") from None
    app = make_app(settings)
    add_tasks(app, place, settings)
    app.conf.task_queues = queues_of(place.region)
    if options.every:
        os.environ["RUNBOOK_CHECK_EVERY"] = str(options.every)
        app.conf.beat_schedule = schedule_of(place.region, os.environ)
    signals.after_setup_logger.connect(quieten)
    signals.after_setup_task_logger.connect(quieten)
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
    allow_only_reading()
    say_that_it_is_there(SharedState(open_redis(settings.backend)), place, state)
    began = now()
    code = _celery(app, place, options, state)
    if code and now() - began > LIVED:
        begin_anew()
    return code


def begin_anew() -> None:
    """In this very process: Celery gives up for faults of its own where a broker goes away at a bad moment.

    What its runs had begun has ended by then, and what it had taken and not begun its broker hands on.
    """
    log.warning("Celery ended by itself; the worker begins anew")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 -- there is no shell in it


def _celery(app: Celery, place: WorkerPlace, options: WorkerOptions, state: Path) -> int:
    worker = app.Worker(
        hostname=place.name,
        concurrency=options.concurrency,
        pool="prefork",
        loglevel="INFO",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        optimization="fair",
        max_tasks_per_child=TASKS_PER_PROCESS,
        beat=bool(options.every),
        schedule_filename=str(state / f"beat-{place.region}"),
        redirect_stdouts=False,
    )
    worker.start()
    return int(worker.exitcode or 0)


def without_traceback(record: logging.LogRecord) -> bool:
    """Of a broker that is away an operator reads one line."""
    record.exc_info, record.exc_text = None, None
    return True


def quieten(logger: logging.Logger, **_more: Any) -> None:
    """As Celery sets up its log."""
    for handler in logger.handlers:
        handler.addFilter(without_traceback)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)


def allow_only_reading() -> None:
    """Whoever reaches the broker could else end runs in the middle, without any signature."""
    for name in set(Panel.data) - ALLOWED_REMOTELY:
        del Panel.data[name]


def say_that_it_is_there(shared: SharedState, place: WorkerPlace, state: Path) -> None:
    """Again and again, in a thread beside the worker; what runs of this host held and ended since is released too."""

    def beat() -> None:
        while True:
            try:
                shared.present(place.region, place.name)
                for run in release_ended(shared, state):
                    log.warning("the cluster of %s is held no more, as that run has ended", run)
            except NotStartedError:
                log.debug("Redis does not answer")
            pause.wait(PRESENT / 3)

    pause = threading.Event()
    threading.Thread(target=beat, name="presence", daemon=True).start()


def check_place(place: WorkerPlace) -> None:
    """What would stand in the way of every order is told at once. Raises RunbookError."""
    from runbook.cluster.inventory.locate import find_inventory, read_inventory
    from runbook.fleet.regions import region_of

    found = read_inventory(find_inventory(place.inventory, place.environment))
    if not any(region_of(cluster) == place.region for cluster in found.clusters):
        what = f"{found.path} has no cluster in region {place.region}"
        raise SettingsError(what, f"Give one the label: labels: {{ region: {place.region} }}")
    if place.signers:
        from runbook.signatures import read_allowed_signers

        read_allowed_signers(place.signers)
    if place.playbooks and not Path(place.playbooks).is_dir():
        raise SettingsError(f"{place.playbooks} is no folder of playbooks", "Name one with --playbooks FOLDER")


def options_told(place: WorkerPlace, settings: BrokerSettings, options: WorkerOptions) -> str:
    """One line of what it is."""
    signers = f"signed by one in {place.signers}" if place.signers else "checks and dry runs only: no --signers"
    return f"worker {place.name}, {options.concurrency} at once, over {settings.shown}; orders: {signers}"
