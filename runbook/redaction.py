"""Keeps secrets out of everything that is written and shown (I13): by value, line by line, however they are encoded.

A text is read several times over: as it stands, and with one, two and three layers of escapes undone (URLs, JSON, HTML,
shells), so that a secret is found whichever characters an encoder chose to escape. Case and white space do not count.
Base64 and hex are looked for in each of these readings, also where other data is encoded with the secret, or lines are
broken.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

SHORTEST = 6  # characters: anything shorter is part of ordinary words, and hiding it would hide them
HIDDEN = "(secret)"
CREDENTIALS = ("NOMAD_TOKEN", "CONSUL_HTTP_TOKEN", "VAULT_TOKEN", "BAO_TOKEN", "ETCDCTL_PASSWORD")
USER_AND_PASSWORD = ("NOMAD_HTTP_AUTH", "CONSUL_HTTP_AUTH", "ETCDCTL_USER")

LAYERS = 3  # of escapes that are undone: a URL inside JSON inside JSON
DEEP = 1024 * 1024  # bytes; a longer text is only read as it stands
_HEX = rb"[0-9a-fA-F]"
_ESCAPED = re.compile(
    rb"%_{2}|(?:\\u_{4})+|\\U_{8}|\\x_{2}|\\[0-7]{3}|\\.|&#[xX]_{1,8};|&#\d{1,8};|&[a-zA-Z]\w{1,30};".replace(
        b"_", _HEX
    )
    + rb"|\+|'\"'\"'|'\\''",
    re.DOTALL,
)
_SPACE = re.compile(rb"\s+")
_BROKEN = re.compile(rb"[\s:]+")  # between the lines of base64, and between the pairs of hex
_CODE = rb"A-Za-z0-9+/_=-"
_WORD_BEFORE, _WORD_AFTER = re.compile(rb"[" + _CODE + rb"]{1,3}\Z"), re.compile(rb"[" + _CODE + rb"]{1,4}")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


class Redactor:
    """Knows the secrets that were met so far, and hides them in data, whatever printed them."""

    def __init__(self) -> None:
        self._plain: tuple[bytes, ...] = ()  # in lower case, with single spaces
        self._hex: tuple[bytes, ...] = ()
        self._base64: tuple[bytes, ...] = ()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Redactor:
        """One that knows the credentials of every kind of cluster that the environment may hold."""
        redactor = cls()
        for name in CREDENTIALS:
            redactor.learn(environment.get(name, "").strip())
        for name in USER_AND_PASSWORD:
            redactor.learn(environment.get(name, "").partition(":")[2])
        return redactor

    def learn(self, secret: str) -> None:
        """The secret, and each line of it that is long enough."""
        pieces = {text.strip() for text in (secret, *secret.splitlines())}
        known = {piece for piece in pieces if is_long_enough(piece)}
        if known:
            with self._lock:  # the clusters of a fleet are met side by side
                self._learn(known)

    def _learn(self, known: set[str]) -> None:
        plain = {form for piece in known for form in _spellings(piece) if len(form) >= SHORTEST}
        coded = [piece.encode("utf-8", "surrogatepass") for piece in known]
        self._plain = _longest_first({*self._plain, *plain})
        self._hex = _longest_first({*self._hex, *(piece.hex().encode() for piece in coded)})
        self._base64 = _longest_first({*self._base64, *(part for piece in coded for part in _base64_parts(piece))})

    def learn_all(self, secrets: Iterable[str]) -> None:
        """As :meth:`learn`, each of them."""
        for secret in secrets:
            self.learn(secret)

    def hide(self, data: Any) -> Any:
        """The same data without them; mappings keep their keys' order, tuples become lists."""
        if not self._plain:
            return data
        if isinstance(data, str):
            return self._hidden(data)
        if isinstance(data, Mapping):
            return {self.hide(key): self.hide(value) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.hide(item) for item in data]
        if isinstance(data, int | float) and str(data).encode() in self._plain:
            return HIDDEN
        return data

    def _hidden(self, text: str) -> str:
        data = text.encode("utf-8", "surrogatepass")
        hidden = self.hide_bytes(data)
        return text if hidden is data else hidden.decode("utf-8", "surrogatepass")

    def hide_bytes(self, data: bytes) -> bytes:
        """The same without them."""
        if not self._plain or len(data) < SHORTEST:
            return data
        whole: list[bytes] = []
        at = 0
        for begin, end in sorted({_whole_characters(data, *place) for place in self._found(data)}):
            if begin > at or not whole:
                whole += [data[at:begin], HIDDEN.encode()]
            at = max(at, end)
        return b"".join([*whole, data[at:]]) if whole else data

    def _found(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where a secret begins and ends in these bytes."""
        readings = [_Reading(data, (0,), ((0, len(data), True),))]
        for _ in range(LAYERS + 1):
            here = readings[-1].data
            spaced = _reread(here, _SPACE, lambda _space: b" ")
            for begin, end in _occurrences(spaced.data.lower(), self._plain):
                yield _in_the_first((*readings, spaced), begin, end)
            joined = _reread(here, _BROKEN, lambda _break: b"")
            for begin, end in _occurrences(joined.data.lower(), self._hex):
                yield _in_the_first((*readings, joined), begin, end)
            for begin, end in _occurrences(joined.data.translate(_URL_SAFE), self._base64):
                yield _whole_word(data, *_in_the_first((*readings, joined), begin, end))
            if len(data) > DEEP or not _ESCAPED.search(here):
                return
            readings.append(_reread(here, _ESCAPED, _unescaped))


def is_long_enough(secret: str) -> bool:
    """Whether it can be hidden: white space does not count."""
    return len(" ".join(secret.split())) >= SHORTEST


def _spellings(piece: str) -> Iterator[bytes]:
    """What the plain readings of a text may show of it, where an encoder left a part of it as it is."""
    others = () if piece.isascii() else (piece.lower(), piece.upper())
    coded = [text.encode("utf-8", "surrogatepass") for text in (piece, *others)]
    if not piece.isascii():
        narrow = (letter.encode("latin-1" if letter < "\u0100" else "utf-8", "surrogatepass") for letter in piece)
        coded.append(b"".join(narrow))  # as Python writes it in ASCII
    for data in coded:
        for form in (data, data.replace(b"+", b" "), _reread(data, _ESCAPED, _unescaped).data):
            yield _SPACE.sub(b" ", form).strip().lower()


def _base64_parts(data: bytes) -> Iterator[bytes]:
    """What is surely in the code, whatever is encoded before and after: a user's name, the rest of a document."""
    import base64  # start-up is felt, and most commands meet no secret

    for before in range(3):
        code = base64.b64encode(b"\0" * before + data).rstrip(b"=")
        sure = (before + len(data)) * 8 // 6  # characters that no later byte has a share in
        yield code[(before * 8 + 5) // 6 : sure]


def _longest_first(forms: set[bytes]) -> tuple[bytes, ...]:
    return tuple(sorted(forms, key=len, reverse=True))


def _occurrences(data: bytes, known: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    for form in known:
        at = data.find(form)
        while at >= 0:
            yield at, at + len(form)
            at = data.find(form, at + len(form))


def _whole_word(data: bytes, begin: int, end: int) -> tuple[int, int]:
    """With the characters of the code that hold a part of the secret's first or last byte, and its padding."""
    before, after = _WORD_BEFORE.search(data, max(0, begin - 3), begin), _WORD_AFTER.match(data, end)
    return before.start() if before else begin, after.end() if after else end


def _whole_characters(data: bytes, begin: int, end: int) -> tuple[int, int]:
    while begin > 0 and data[begin] & 0xC0 == 0x80:
        begin -= 1
    while end < len(data) and data[end] & 0xC0 == 0x80:
        end += 1
    return begin, end


# -- readings of a text


class _Reading(NamedTuple):
    """A text read in another way. ``starts`` says where each of its ``parts`` begins; of each part, where it began and
    ended in the text before, and whether byte for byte.
    """

    data: bytes
    starts: Sequence[int]
    parts: Sequence[tuple[int, int, bool]]

    def place(self, position: int) -> tuple[int, int]:
        """Where the byte at this position came from."""
        number = bisect_right(self.starts, position) - 1
        begin, end, as_it_was = self.parts[number]
        offset = begin + position - self.starts[number]
        return (offset, offset + 1) if as_it_was else (begin, end)


def _reread(data: bytes, pattern: re.Pattern[bytes], read: Callable[[re.Match[bytes]], bytes]) -> _Reading:
    pieces: list[bytes] = []
    starts, parts = [], []
    at = length = 0
    for found in pattern.finditer(data):
        for piece, part in (
            (data[at : found.start()], (at, found.start(), True)),
            (read(found), (*found.span(), False)),
        ):
            if piece:
                pieces.append(piece)
                starts.append(length)
                parts.append(part)
                length += len(piece)
        at = found.end()
    return _Reading(b"".join([*pieces, data[at:]]), [*starts, length], [*parts, (at, len(data), True)])


def _in_the_first(readings: Sequence[_Reading], begin: int, end: int) -> tuple[int, int]:
    """The place in the text as it stands of what was found in the last of these readings."""
    for reading in reversed(readings):
        begin, end = reading.place(begin)[0], reading.place(end - 1)[1]
    return begin, end


def _unescaped(found: re.Match[bytes]) -> bytes:
    escape = found[0]
    kind, digits = escape[:2].lower(), escape[2:]
    if escape == b"+":
        return b" "
    if escape.startswith(b"%"):
        return bytes([int(escape[1:], 16)])
    if kind == b"\\u" and digits:
        if escape.startswith(b"\\U"):
            return _character(int(digits, 16))
        units = bytes.fromhex(escape.lower().replace(b"\\u", b"").decode())  # two of them may be one character
        return units.decode("utf-16-be", "surrogatepass").encode("utf-8", "surrogatepass")
    if kind == b"\\x" and digits:
        return bytes([int(digits, 16)])
    if kind == b"&#":
        return _character(int(digits[1:-1], 16) if digits[:1] in b"xX" else int(digits[:-1]))
    if escape.startswith(b"&"):
        import html

        return html.unescape(escape.decode()).encode()
    if escape.startswith(b"\\"):
        is_octal = len(escape) == 4
        return bytes([int(escape[1:], 8) & 255]) if is_octal else _CONTROLS.get(escape[1:], escape[1:])
    return b"'"


def _character(number: int) -> bytes:
    return chr(number).encode("utf-8", "surrogatepass") if number < 0x110000 else b""
