"""A task whose acknowledgement cannot be sent ends no worker: its broker hands it on, and it is known to be done."""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request


class PatientRequest(Request):  # type: ignore[misc]  # Celery has no types
    """Kombu raises AttributeError, and no error of a connection, where the channel to Redis is closed already."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **{**more, "connection_errors": (*more.get("connection_errors", ()), AttributeError)})
