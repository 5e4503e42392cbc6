"""The ways in which a text is written by those who pass it on, each by its name: what a redactor must see through."""

from __future__ import annotations

import base64
import html
import json
import shlex
from collections.abc import Callable, Mapping
from urllib.parse import quote, quote_plus

Encoding = Callable[[str], str]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ENCODINGS: Mapping[str, Encoding] = {
    "as it is": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "spaces around it": lambda text: f"  {text}\t",
    "URL": lambda text: quote(text, safe=""),
    "URL, a path": quote,
    "URL, a form": quote_plus,
    "URL, in lower case": lambda text: quote(text, safe="").lower(),
    "URL, every byte": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "URL, twice": lambda text: quote(quote(text, safe=""), safe=""),
    "base64": _base64,
    "base64 without padding": lambda text: _base64(text).rstrip("="),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 for URLs, without padding": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 of user and secret": lambda text: "Basic " + _base64(f"user:{text}"),
    "base64 within a document": lambda text: _base64(f'{{"a": 1, "b": ["{text}"], "c": 3}}'),
    "base64 in lines": lambda text: base64.encodebytes(b"x" * 70 + text.encode()).decode(),
    "base64 in a URL": lambda text: quote(_base64(text), safe=""),
    "hex": lambda text: text.encode().hex(),
    "hex in upper case": lambda text: text.encode().hex().upper(),
    "hex with colons": lambda text: text.encode().hex(":"),
    "JSON": json.dumps,
    "JSON in Unicode": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON as Go writes it": lambda text: json.dumps(text).replace("&", "\\u0026").replace("<", "\\u003c"),
    "JSON as PHP writes it": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "HTML": html.escape,
    "HTML by numbers": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "HTML by hex numbers": lambda text: "".join(f"&#X{ord(letter):X};" for letter in text),
    "Python": repr,
    "Python in ASCII": ascii,
    "Python's bytes": lambda text: repr(text.encode()),
    "a shell's word": shlex.quote,
    "octal": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
}
