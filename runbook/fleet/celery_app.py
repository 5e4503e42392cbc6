"""The Celery application: its queues and tasks, and which settings keep an order from being done twice or lost.

It is what ``celery -A runbook.fleet.celery_app`` is given, and so reads its settings from the environment, as the
worker does that `runbook worker` starts.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from celery import Celery
from celery.exceptions import Ignore
from celery.utils.log import get_task_logger
from kombu.entity import Queue

from runbook.clock import SystemClock
from runbook.fleet.broker import BrokerSettings, broker_settings, open_redis
from runbook.fleet.regions import check_queue, run_queue
from runbook.fleet.shared import SharedState
from runbook.fleet.worker import Worker, WorkerPlace

CHECK_TASK, RUN_TASK, REGION_TASK = "runbook.check", "runbook.run", "runbook.check_region"
REGION, INVENTORY, PLAYBOOKS, SIGNERS, EVERY = (
    "RUNBOOK_REGION",
    "RUNBOOK_INVENTORY",
    "RUNBOOK_PLAYBOOKS",
    "RUNBOOK_SIGNERS",
    "RUNBOOK_CHECK_EVERY",
)
LONGEST_CHECK = 20.0  # seconds that one check may be given
EVERY_MINUTE = 60.0  # seconds
REDELIVERED = 30  # seconds after which Redis hands on what a worker took and did not end: longer than any check
LOST_WITHIN = 2  # seconds between two looks for such orders
PATIENT = "runbook.fleet.patient_request:PatientRequest"
RESULTS_KEPT = 3600  # seconds
ALLOWED_REMOTELY = {  # of what anybody who reaches the broker may ask a worker: what reads, and events for Flower
    *("active", "active_queues", "clock", "ping", "query_task", "registered", "reserved", "revoked", "scheduled"),
    *("stats", "enable_events", "disable_events", "heartbeat"),
}
log = get_task_logger(__name__)


def make_app(settings: BrokerSettings, *, sends_only: bool = False) -> Celery:
    """Only JSON is read, from whomever it comes. Whoever ``sends_only`` reads what comes back by itself."""
    backend = "disabled://" if sends_only else settings.backend
    app = Celery("runbook", broker=settings.broker, backend=backend, set_as_current=False)
    is_redis = settings.broker.startswith("redis")
    patience = {"socket_timeout": 10.0, "socket_connect_timeout": 5.0}
    app.conf.update(
        accept_content=["json"],
        result_accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        result_expires=RESULTS_KEPT,
        result_backend_always_retry=True,  # a broker that is started anew is no end of a run
        result_backend_max_retries=60,
        result_backend_transport_options={"retry_policy": {"timeout": 5.0}},
        redis_socket_timeout=10.0,
        redis_socket_connect_timeout=5.0,
        task_create_missing_queues=False,
        task_queues=[],
        task_default_delivery_mode="persistent",
        task_track_started=False,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_enable_soft_shutdown_on_idle=False,
        worker_proc_alive_timeout=60.0,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=5.0,
        broker_heartbeat=10,
        broker_transport_options={
            **patience,
            "visibility_timeout": REDELIVERED,
            "unacked_restore_interval": LOST_WITHIN,
            "unacked_restore_throttle": 1,
            "unacked_mutex_expire": REDELIVERED,
        }
        if is_redis
        else {"confirm_publish": True},
        task_publish_retry_policy={"max_retries": 3, "interval_start": 0, "interval_step": 0.5, "interval_max": 1.0},
    )
    return app


def __getattr__(name: str) -> Any:
    """``app``, for Celery's own command line."""
    if name != "app":
        raise AttributeError(name)
    settings = broker_settings(os.environ)
    app = make_app(settings)
    place = place_of_this_process(os.environ)
    add_tasks(app, place, settings)
    app.conf.beat_schedule = schedule_of(place.region, os.environ)
    return app


def schedule_of(region: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """What beat asks of the workers of the region. It holds nothing, so nobody needs to sign it."""
    if not region:
        return {}
    every = float(environment.get(EVERY) or EVERY_MINUTE)
    options = {"queue": check_queue(region), "expires": every}
    return {f"check {region}": {"task": REGION_TASK, "schedule": every, "options": options}}


def queues_of(region: str) -> list[Queue]:
    return [Queue(name, durable=True, routing_key=name) for name in (check_queue(region), run_queue(region))]


def worker_name(region: str) -> str:
    """As Celery and others call it: two of one host differ in their process."""
    return f"{region}-{os.getpid()}@{socket.gethostname()}"


def add_tasks(app: Celery, place: WorkerPlace, settings: BrokerSettings) -> None:
    """What this process does when it is told to."""
    worker: list[Worker] = []

    def own() -> Worker:
        if not worker:  # a connection is each process' own
            worker.append(Worker(place, SharedState(open_redis(settings.backend)), SystemClock()))
        return worker[0]

    def check(message: Any) -> dict[str, Any]:
        return _told(own().check(message), "the order of a check that was done came again")

    def run(message: Any) -> dict[str, Any]:
        return _told(own().run(message), "the order of a run that was begun before came again")

    def check_region() -> dict[str, Any]:
        from runbook.fleet.region_check import check_own_region

        return check_own_region(place, SharedState(open_redis(settings.backend)), SystemClock())

    app.task(
        check,
        name=CHECK_TASK,
        acks_late=True,
        reject_on_worker_lost=True,
        time_limit=LONGEST_CHECK + 5,
        shared=False,
        Request=PATIENT,
    )
    app.task(  # never done twice
        run, name=RUN_TASK, acks_late=False, reject_on_worker_lost=False, shared=False, Request=PATIENT
    )
    app.task(check_region, name=REGION_TASK, acks_late=False, ignore_result=True, shared=False)


def _told(reply: dict[str, Any] | None, again: str) -> dict[str, Any]:
    """What was refused is in this worker's log too. Raises Ignore where another reply stands, or is to come."""
    if reply is None:
        log.warning("%s; it was not done again", again)
        raise Ignore
    if reply.get("refused"):
        log.warning(reply["refused"])
    return reply


def place_of_this_process(environment: Mapping[str, str]) -> WorkerPlace:
    region = environment.get(REGION, "")
    return WorkerPlace(
        region,
        worker_name(region),
        environment.get(INVENTORY) or None,
        environment.get(PLAYBOOKS, ""),
        environment.get(SIGNERS, ""),
        dict(environment),
    )
