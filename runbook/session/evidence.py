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
from runbook.redaction import DEEP

EVIDENCE = "evidence"  # in the folder of a run
SUFFIX = ".txt"  # so that a browser shows it as it is, whatever a server sent
BEGINNING = 2048  # bytes of a body that stand in the journal
MARGIN = 64 * 1024  # bytes: a secret is no longer, so one that the end of what is read cuts through is in them
LONGEST = DEEP - MARGIN  # bytes of a body that are kept in a file
ROOM = 64 * 1024 * 1024  # bytes of all files of a run
MOST_IN_JOURNAL = 4 * 1024 * 1024  # bytes of all beginnings together
MOST_TOLD = 5000  # replies of one process
MOST_WAITING = 500  # replies between two events; the newest are kept
SPARE = 64 * 1024 * 1024  # bytes that stay free on the disk: the journal comes first
_SECRET_NAME = re.compile(  # each part has a bound: a server may send a megabyte of "tokentokentoken
    r'(\\{0,7}")[\w-]{0,64}?(?:token|secret|password|accessor|encrypt)[\w-]{0,64}\1\s{0,64}:\s{0,64}', re.IGNORECASE
)
_MARKS = re.compile(r'(\\*)"|[\[\]{}]')

Hide = Callable[[str], Any]


class EvidenceKeeper:
    """Takes replies from any thread; what it writes is written where an event is, by the thread that emits it."""

    def __init__(self, folder: Path, hide: Hide) -> None:
        """``folder`` is that of the run; ``hide`` takes the secrets out of a text."""
        self._folder, self._hide = folder / EVIDENCE, hide
        self._taken: deque[Exchange] = deque()
        self._dropped = self._told = self._in_journal = 0
        self._last: dict[tuple[str, str], tuple[int, str, int]] = {}
        self._digests: dict[bytes, tuple[str, int]] = {}  # of a body as it came: that of what is kept, and what is not
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
            digest, text, cut = self._without_secrets(exchange.body)
            if text:
                self._keep(digest, text, cut, told)
            request, newest = (exchange.method, exchange.url), (exchange.status, digest or exchange.error, cut)
            if self._last.get(request) == newest and not exchange.changes:
                told["same"] += 1
                continue
            self._told += 1
            self._last[request] = newest
            replies.append(_told(exchange, digest))
        told["left_out"] = left_out
        return Replied(tuple(replies), **told) if replies or told["same"] or left_out else None

    def _without_secrets(self, body: bytes) -> tuple[str, bytes, int]:
        """The digest of what is kept of it, that itself where it was not met before, and how many bytes are cut off."""
        if not body:
            return "", b"", 0
        came = hashlib.sha256(body).digest()
        if came in self._digests:
            return self._digests[came][0], b"", self._digests[came][1]
        whole = body.decode("utf-8", "replace").encode()
        text = hide_by_name(str(self._hide(whole[:DEEP].decode("utf-8", "ignore")))).encode()
        kept = text if len(whole) <= DEEP else text[:-MARGIN]
        kept = kept[:LONGEST].decode("utf-8", "ignore").encode()
        cut = len(whole) - len(kept) if len(kept) < len(text) else 0
        self._digests[came] = hashlib.sha256(kept).hexdigest(), cut
        return self._digests[came][0], kept, cut

    def _keep(self, digest: str, data: bytes, cut: int, told: dict[str, Any]) -> None:
        if self._in_journal < MOST_IN_JOURNAL:
            told["bodies"][digest] = data[:BEGINNING].decode("utf-8", "ignore")
            self._in_journal += min(len(data), BEGINNING)
        if len(data) <= BEGINNING or self._files_end:
            return
        try:
            self._write(digest, data)
        except (OSError, StepError) as error:
            self._files_end = True
            why = error.strerror if isinstance(error, OSError) else error
            told["trouble"] = f"no more whole replies are kept in {EVIDENCE}/: {why}"
            return
        told["files"][digest] = digest
        if cut:
            told["cut"][digest] = cut

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


def hide_by_name(text: str) -> str:
    """Without the values under a name such as Token, also in JSON within JSON: a text, a list, or an object.

    Each character is looked at a few times at most; of a value that does not end, all that follows is hidden.
    """
    pieces, at = list[str](), 0
    while name := _SECRET_NAME.search(text, at):
        end = _end_of_value(text, name.end(), name[1])
        hidden = text[name.end() : end] not in ("", "[]", "{}", name[1] * 2)
        pieces += [text[at : name.end()], f"{name[1]}(secret){name[1]}" if hidden else text[name.end() : end]]
        at = end
    return "".join([*pieces, text[at:]])


def _end_of_value(text: str, begin: int, quote: str) -> int:
    """Where it ends that begins there; there, where it is a number or a word."""
    depth, inside = 0, False
    if not text.startswith((quote, "[", "{"), begin):
        return begin
    for mark in _MARKS.finditer(text, begin):
        if mark[1] is not None:  # of the backslashes before it all but its own must be pairs that stand for themselves
            inside ^= (len(mark[1]) + 1 - len(quote)) % (2 * len(quote)) == 0
        elif not inside:
            depth += 1 if mark[0] in "[{" else -1
        if depth <= 0 and not inside:
            return mark.end()
    return len(text)


def evidence_files(events: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The digest on record of each file of evidence, by its path in the folder of the run."""
    names = {str(name) for event in events if event["kind"] == Replied.kind for name in event["files"].values()}
    return {f"{EVIDENCE}/{name}{SUFFIX}": name for name in sorted(names)}
