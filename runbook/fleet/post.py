"""How orders leave home, and how what came of them is read: through the broker there, from Redis here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runbook.decode import ODD
from runbook.errors import NotStartedError
from runbook.fleet.broker import BrokerSettings, open_redis
from runbook.fleet.orders import Order
from runbook.fleet.shared import SharedState
from runbook.fleet.signed_orders import sealed

if TYPE_CHECKING:
    from celery import Celery

TAKEN_WITHIN = 10.0  # seconds in which a worker that is there takes an order
LOST = "lost"  # in place of a reply: the process of the worker died, or was ended as it took too long
AT_ONCE = 500  # replies that are asked for in one exchange
LONGEST_REPLY = 16 * 1024 * 1024  # characters


class Post:
    """One connection to the broker, used by one thread at a time, and one to Redis. ``key`` signs what is sent."""

    def __init__(self, settings: BrokerSettings, key: str = "") -> None:
        from runbook.fleet.celery_app import make_app

        self._app: Celery = make_app(settings, sends_only=True)
        self._redis = open_redis(settings.backend)
        self.shared = SharedState(self._redis)
        self._key, self._where = key, settings.shown

    def sealed(self, orders: Sequence[Order]) -> list[dict[str, Any]]:
        """All under one signature. Raises SettingsError and StepError where the key does not sign."""
        return sealed(orders, self._key) if orders else []

    def send_check(self, order: Order, message: Mapping[str, Any], queue: str) -> None:
        from runbook.fleet.celery_app import CHECK_TASK

        self._send(CHECK_TASK, order, message, queue)

    def send_run(self, order: Order, message: Mapping[str, Any], queue: str) -> None:
        from runbook.fleet.celery_app import RUN_TASK

        self._send(RUN_TASK, order, message, queue)

    def replies(self, orders: Sequence[str]) -> dict[str, Any]:
        """Those that are there. Each is taken, and is not there any more. Raises NotStartedError."""
        from redis.exceptions import RedisError

        found: dict[str, Any] = {}
        try:
            for at in range(0, len(orders), AT_ONCE):
                some = orders[at : at + AT_ONCE]
                texts = self._redis.mget([_key(order) for order in some])
                found.update({order: text for order, text in zip(some, texts, strict=True) if text is not None})
            if found:
                self._redis.delete(*map(_key, found))
        except (RedisError, OSError) as error:
            raise NotStartedError(f"the Redis of the fleet does not answer: {type(error).__name__}") from None
        return {order: _result(text) for order, text in found.items()}

    def _send(self, task: str, order: Order, message: Mapping[str, Any], queue: str) -> None:
        from kombu.exceptions import OperationalError

        shown = f"({order.cluster})"
        try:
            self._app.send_task(
                task, (message,), task_id=order.id, queue=_queue(queue), argsrepr=shown, kwargsrepr="{}", retry=True
            )
        except (OperationalError, OSError) as error:
            what = f"the broker {self._where} does not take the order: {type(error).__name__}"
            raise NotStartedError(what, "Is it there, and may this user write to it?") from None


def nobody_took_it(region: str, seconds: float) -> str:
    return (
        f"nobody took the task within {seconds:g} s: no worker of region {region} is there; "
        f"start one: runbook worker --region {region}"
    )


def not_in_a_region(cluster: str) -> str:
    return f"the inventory gives {cluster} no region, so no worker is asked; label it: labels: {{ region: NAME }}"


def _queue(name: str) -> Any:
    from kombu.entity import Queue

    return Queue(name, durable=True, routing_key=name)


def _key(order: str) -> str:
    return f"celery-task-meta-{order}"


def _result(text: str) -> Any:
    """What the task returned; of one that was lost, why."""
    if len(text) > LONGEST_REPLY:
        return None
    try:
        told = json.loads(text)
        return told["result"] if told["status"] == "SUCCESS" else {LOST: str(told["result"]["exc_type"])}
    except (RecursionError, *ODD):
        return None
