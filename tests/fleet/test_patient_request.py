"""What Celery is to do where a broker is away just when a task is done."""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu.message import Message

from runbook.fleet.patient_request import PatientRequest


class Gone:
    """A channel to Redis that was closed: what Kombu has of its connection is None."""

    no_ack_consumers = None

    def basic_ack(self, *_words: Any, **_more: Any) -> None:
        raise AttributeError("'NoneType' object has no attribute 'hostname'")


def done() -> None:
    pass


def test_an_acknowledgement_that_cannot_be_sent_ends_nothing() -> None:
    message = Message(
        body=b"[[], {}, {}]", channel=Gone(), delivery_tag=1, content_type="application/json",
        content_encoding="utf-8", headers={"id": "1", "task": "runbook.check"},
    )  # fmt: skip
    app = Celery("x", set_as_current=False)
    task = app.task(done, name="runbook.check", shared=False)
    request = PatientRequest(message, on_ack=message.ack_log_error, app=app, task=task, connection_errors=(OSError,))
    request.acknowledge()
    assert request.acknowledged
