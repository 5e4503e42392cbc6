"""Where the broker is, and the Redis with results, locks and claims; what of their addresses may be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from runbook.dataclass import dataclass
from runbook.errors import SettingsError
from runbook.redaction import Redactor

if TYPE_CHECKING:
    from redis import Redis

BROKER, BACKEND = "RUNBOOK_BROKER", "RUNBOOK_BACKEND"
REDIS = ("redis", "rediss")
RABBITMQ = ("amqp", "amqps", "pyamqp")
ANSWERS_WITHIN = 5.0  # seconds, of Redis
EXTRA = "pip install 'runbook-engine[fleet]'"


@dataclass(frozen=True)
class BrokerSettings:
    """Both are URLs, which may hold passwords: they are shown by :meth:`shown` alone."""

    broker: str = field(repr=False)
    backend: str = field(repr=False)

    def learn_secrets(self, redactor: Redactor) -> None:
        """The passwords, and whatever else stands where one would."""
        for url in (self.broker, self.backend):
            redactor.learn(unquote(urlsplit(url).password or ""))
            redactor.learn(urlsplit(url).password or "")

    @property
    def shown(self) -> str:
        """Without users and passwords."""
        return _place(self.broker) if self.broker == self.backend else f"{_place(self.broker)}, {_place(self.backend)}"


def require_celery() -> None:
    """Raises SettingsError where the extra is not installed."""
    try:
        import celery  # noqa: F401
        import redis  # noqa: F401
    except ImportError as error:
        raise SettingsError(f"{error.name or error} is not installed, which workers need", EXTRA) from None


def broker_settings(environment: Mapping[str, str], given: str | None = None) -> BrokerSettings:
    """From ``--broker``, which holds no password as everybody sees the words of a process, and the environment.

    Raises SettingsError.
    """
    if given and urlsplit(given).password:
        what = "a password in --broker is seen by everybody who lists processes"
        raise SettingsError(what, f"Put the URL into {BROKER}")
    broker = given or environment.get(BROKER, "")
    if not broker:
        raise SettingsError(
            "there is no broker", f"Name one: {BROKER}=redis://HOST:6379/0 or amqp://USER:PASSWORD@HOST//"
        )
    backend = environment.get(BACKEND, "")
    if _scheme(broker) in RABBITMQ:
        if _scheme(backend) not in REDIS:
            what = "RabbitMQ carries orders, and results, locks and claims need a Redis beside it"
            raise SettingsError(what, f"Name one: {BACKEND}=redis://HOST:6379/0")
        return BrokerSettings(broker, backend)
    if _scheme(broker) not in REDIS:
        raise SettingsError(f"{_place(broker)} is no address of a broker", f"{BROKER} begins with redis:// or amqp://")
    if backend and _scheme(backend) not in REDIS:
        raise SettingsError(f"{_place(backend)} is no address of a Redis", f"{BACKEND} begins with redis://")
    return BrokerSettings(broker, backend or broker)


def open_redis(url: str) -> Redis:
    """Nothing is asked of it yet."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Redis.from_url(
        url,
        socket_timeout=ANSWERS_WITHIN,
        socket_connect_timeout=ANSWERS_WITHIN,
        decode_responses=True,
        retry=Retry(NoBackoff(), 1),
    )


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()


def _place(url: str) -> str:
    parts = urlsplit(url)
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        port = ""
    return f"{parts.scheme or '?'}://{parts.hostname or ''}{port}"
