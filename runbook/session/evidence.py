"""What the servers answered a run: the beginning of each body in its journal, and all of a longer one in a folder."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from runbook.cluster.replies import Exchange
from runbook.cluster_events import Replied
from runbook.errors import StepError
from runbook.files import make_folder, replace_file

EVIDENCE = "evidence"  # in the folder of a run
SUFFIX = ".txt"  # so that a browser shows it as it is, whatever a server sent
BEGINNING = 2048  # bytes of a body that stand in the journal
LONGEST = 1024 * 1024  # bytes of a body that are kept in a file
ROOM = 64 * 1024 * 1024  # bytes of all files of a run
MOST_IN_JOURNAL = 4 * 1024 * 1024  # bytes of all beginnings together
MOST_TOLD = 5000  # replies of one process
MOST_WAITING = 500  # replies between two events; the newest are kept
SPARE = 64 * 1024 * 1024  # bytes that stay free on the disk: the journal comes first
SECRET_NAME = re.compile(r'("\w*(?:token|secret|password|accessor|encrypt)\w*"\s*:\s*)"[^"]+"', re.IGNORECASE)

Hide = Callable[[str], Any]


class EvidenceKeeper:
    """Takes replies from any thread; what it writes is written where an event is, by the thread that emits it."""

    def __init__(self, folder: Path, hide: Hide) -> None:
        """``folder`` is that of the run; ``hide`` takes the secrets out of a text."""
        self._folder, self._hide = folder / EVIDENCE, hide
        self._taken: deque[Exchange] = deque()
        self._dropped = self._told = self._in_journal = 0
        self._last: dict[tuple[str, str], tuple[int, str]] = {}
        self._digests: dict[bytes, str] = {}  # of a body as it came: that of the body without secrets
        self._files_end = False
        self._room: int | None = None

    def take(self, exchange: Exchange) -> None:
        """Keep it until the next event."""
        self._taken.append(exchange)
        if len(self._taken) > MOST_WAITING:
            self._taken.popleft()
            self._dropped += 1

    def told(self) -> Replied | None:
        """What came since the last call; nothing where nothing did."""
        replies: list[Mapping[str, Any]] = []
        told: dict[str, Any] = {"bodies": {}, "files": {}, "cut": {}, "same": 0}
        left_out, self._dropped = self._dropped, 0
        for _ in range(len(self._taken)):
            exchange = self._taken.popleft()
            if self._told >= MOST_TOLD and not exchange.changes:
                left_out += 1
                continue
            digest, text = self._without_secrets(exchange.body)
            if text:
                self._keep(digest, text, told)
            request, newest = (exchange.method, exchange.url), (exchange.status, digest or exchange.error)
            if self._last.get(request) == newest and not exchange.changes:
                told["same"] += 1
                continue
            self._told += 1
            self._last[request] = newest
            replies.append(_told(exchange, digest))
        told["left_out"] = left_out
        return Replied(tuple(replies), **told) if replies or told["same"] or left_out else None

    def _without_secrets(self, body: bytes) -> tuple[str, str]:
        """The digest of it, and the text itself where it was not met before."""
        if not body:
            return "", ""
        came = hashlib.sha256(body).digest()
        if came in self._digests:
            return self._digests[came], ""
        text = SECRET_NAME.sub(r'\1"(secret)"', str(self._hide(body.decode("utf-8", "replace"))))
        self._digests[came] = hashlib.sha256(text.encode()).hexdigest()
        return self._digests[came], text

    def _keep(self, digest: str, text: str, told: dict[str, Any]) -> None:
        data = text.encode()
        if self._in_journal < MOST_IN_JOURNAL:
            told["bodies"][digest] = data[:BEGINNING].decode("utf-8", "ignore")
            self._in_journal += min(len(data), BEGINNING)
        if len(data) <= BEGINNING or self._files_end:
            return
        whole = data[:LONGEST]
        try:
            self._write(name := hashlib.sha256(whole).hexdigest(), whole)
        except (OSError, StepError) as error:
            self._files_end = True
            why = error.strerror if isinstance(error, OSError) else error
            told["trouble"] = f"no more whole replies are kept in {EVIDENCE}/: {why}"
            return
        told["files"][digest] = name
        if len(data) > LONGEST:
            told["cut"][digest] = len(data) - LONGEST

    def _write(self, name: str, data: bytes) -> None:
        """Raises OSError, also where there is too little room."""
        path = self._folder / f"{name}{SUFFIX}"
        make_folder(self._folder)
        if self._room is None:
            self._room = ROOM - sum(file.stat().st_size for file in self._folder.iterdir())
        if path.exists():
            return
        if len(data) > self._room:
            raise OSError(0, f"they have {ROOM // 1024**2} MiB already")
        if shutil.disk_usage(self._folder).free < SPARE:
            raise OSError(0, f"less than {SPARE // 1024**2} MiB are free on this disk")
        replace_file(path, data)
        self._room -= len(data)


def _told(exchange: Exchange, digest: str) -> Mapping[str, Any]:
    told = {"method": exchange.method, "url": exchange.url, "status": exchange.status, "length": exchange.length}
    return {**told, "sha256": digest} if not exchange.error else {**told, "error": exchange.error}


def evidence_files(events: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The digest on record of each file of evidence, by its path in the folder of the run."""
    names = {str(name) for event in events if event["kind"] == Replied.kind for name in event["files"].values()}
    return {f"{EVIDENCE}/{name}{SUFFIX}": name for name in sorted(names)}
