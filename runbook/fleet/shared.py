"""What home and the workers of all hosts share in Redis: who began which order, who is alive, and what is to stop."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from runbook.decode import ODD
from runbook.errors import NotStartedError

if TYPE_CHECKING:
    from redis import Redis
    from typing_extensions import Self

KEPT = 24 * 3600  # seconds: for how long an order that was begun is known, and a cluster that nobody released is held
ALIVE, RENEWED = 20.0, 4.0  # seconds without a renewal after which a run counts as dead, and between two renewals
PRESENT = 15.0  # seconds for which a worker that said nothing since is still counted
PREFIX = "runbook:"
MOST_WORKERS = 1000


class SharedState:
    """Every call is one exchange with Redis, and raises NotStartedError where it does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    # -- an order is begun once

    def claim(self, order: str, holder: Mapping[str, str]) -> dict[str, str] | None:
        """None where it is ours now, and alive; else who began it before."""
        taken = self._ask("set", f"{PREFIX}claim:{order}", json.dumps(holder), nx=True, ex=KEPT)
        if taken:
            self.renew(order)
            return None
        return self.claimed(order) or {}

    def note(self, order: str, holder: Mapping[str, str]) -> None:
        """More about an order that is ours."""
        self._ask("set", f"{PREFIX}claim:{order}", json.dumps(holder), ex=KEPT)

    def claimed(self, order: str) -> dict[str, str] | None:
        return _words(self._ask("get", f"{PREFIX}claim:{order}"))

    # -- a run is alive, or is to stop

    def renew(self, order: str) -> bool:
        """Whoever does it is alive. Whether it may go on: false where it is to stop."""
        self._ask("set", f"{PREFIX}alive:{order}", "1", px=int(ALIVE * 1000))
        return not self._ask("exists", f"{PREFIX}stop:{order}")

    def is_alive(self, order: str) -> bool:
        return bool(self._ask("exists", f"{PREFIX}alive:{order}"))

    def stop(self, order: str) -> None:
        self._ask("set", f"{PREFIX}stop:{order}", "1", ex=KEPT)

    # -- a check is done again only where its worker was killed

    def is_done(self, order: str) -> bool:
        return bool(self._ask("exists", f"{PREFIX}done:{order}"))

    def done(self, order: str, seconds: float) -> None:
        self._ask("set", f"{PREFIX}done:{order}", "1", ex=max(1, int(seconds) + 1))

    def first_in(self, what: str, seconds: float) -> bool:
        """Whether nobody else asked for it within so many seconds."""
        return bool(self._ask("set", f"{PREFIX}lately:{what}", "1", nx=True, px=max(1, int(seconds * 1000))))

    # -- which workers there are

    def present(self, region: str, worker: str) -> None:
        self._ask("set", f"{PREFIX}worker:{region}:{worker}", "1", px=int(PRESENT * 1000))

    def workers(self, region: str) -> list[str]:
        """Those of the region that said lately that they are there."""
        prefix, found, cursor = f"{PREFIX}worker:{region}:", list[str](), 0
        for _ in range(MOST_WORKERS):
            cursor, keys = self._ask("scan", cursor, match=f"{prefix}*", count=1000)
            found += [key.removeprefix(prefix) for key in keys]
            if not cursor:
                break
        return sorted(found)

    # -- clusters that runs hold

    def lock(self, keys: list[str], holder: Mapping[str, str]) -> dict[str, str] | None:
        """Hold all of them or none: None where they are held now, else who has one."""
        return _words(self._script(_LOCK, [f"{PREFIX}lock:{key}" for key in keys], json.dumps(holder), KEPT))

    def lock_holder(self, keys: list[str], holder: Mapping[str, str]) -> dict[str, str] | None:
        """Who else has one of them; None where nobody has."""
        return _words(self._script(_FREE, [f"{PREFIX}lock:{key}" for key in keys], json.dumps(holder)))

    def holds(self, keys: list[str], holder: Mapping[str, str]) -> bool:
        """Whether all of them are still its own."""
        return bool(self._script(_HELD, [f"{PREFIX}lock:{key}" for key in keys], json.dumps(holder)))

    def unlock(self, keys: list[str], holder: Mapping[str, str]) -> None:
        """Those that are still its own."""
        self._script(_UNLOCK, [f"{PREFIX}lock:{key}" for key in keys], json.dumps(holder))

    def remember_held(self, host: str, run: str, held: Mapping[str, Any]) -> None:
        """For :func:`release_ended`, where the run's process does not live to release it."""
        self._ask("hset", f"{PREFIX}held:{host}", run, json.dumps(held))

    def forget_held(self, host: str, run: str) -> None:
        self._ask("hdel", f"{PREFIX}held:{host}", run)

    def held_on(self, host: str) -> dict[str, Any]:
        """By the run, what was remembered."""
        found = {}
        for run, text in self._ask("hgetall", f"{PREFIX}held:{host}").items():
            try:
                held = json.loads(text)
                found[run] = {"order": str(held["order"]), "keys": [*map(str, held["keys"])], "holder": held["holder"]}
            except (RecursionError, *ODD):
                continue
        return found

    # -- Redis

    def _ask(self, command: str, *words: Any, **more: Any) -> Any:
        from redis.exceptions import RedisError

        try:
            return getattr(self._redis, command)(*words, **more)
        except (RedisError, OSError) as error:
            raise NotStartedError(f"the Redis of the fleet does not answer: {_short(error)}") from None

    def _script(self, script: str, keys: list[str], *words: Any) -> Any:
        return self._ask("eval", script, len(keys), *keys, *words)


_LOCK = """
for _, key in ipairs(KEYS) do
  local held = redis.call('GET', key)
  if held and held ~= ARGV[1] then return held end
end
for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1], 'EX', ARGV[2]) end
return false
"""
_FREE = """
for _, key in ipairs(KEYS) do
  local held = redis.call('GET', key)
  if held and held ~= ARGV[1] then return held end
end
return false
"""
_HELD = """
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) ~= ARGV[1] then return 0 end
end
return 1
"""
_UNLOCK = """
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then redis.call('DEL', key) end
end
return 1
"""


def _words(text: Any) -> dict[str, str] | None:
    """What somebody wrote of themselves; nothing where nobody did, and no names where it is odd."""
    if text is None or text is False:
        return None
    try:
        return {str(key): str(value) for key, value in json.loads(text).items()}
    except (RecursionError, *ODD):
        return {}


def _short(error: BaseException) -> str:
    """Of the library's words none that could hold an address with a password."""
    return type(error).__name__


class Lease:
    """Says again and again that whoever does this order is alive, and hears that it is to stop."""

    def __init__(self, shared: SharedState, order: str, on_stop: Callable[[], None]) -> None:
        self._shared, self._order, self._on_stop = shared, order, on_stop
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(2 * RENEWED)

    def _renew(self) -> None:
        told = False
        while not self._over.wait(RENEWED if told else RENEWED / 8):
            try:
                goes_on = self._shared.renew(self._order)
            except NotStartedError:
                continue  # the run asks for its locks before each change, and stops there
            if not goes_on and not told:
                told = True
                self._on_stop()
