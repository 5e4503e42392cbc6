"""How a person sends what the steps of :mod:`runbook.steps.http` send: one curl, its secrets in variables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runbook.by_hand import HandView, Instruction


def send_by_hand(_view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """One curl."""
    from runbook.by_hand import Instruction, shell_word

    files = {"cacert": arguments["ca"], "cert": arguments["cert"], "key": arguments["key"], "output": arguments["to"]}
    body = arguments["body"]
    headers = arguments["headers"] if isinstance(arguments["headers"], dict) else {}
    if arguments["json"] is not None:
        body = _as_json(arguments["json"])
        headers = {"Content-Type": "application/json", **headers}
    words = ["curl", "--fail", "--noproxy", "*", "--max-time", f"{arguments['timeout']}", "--request"]
    words += [arguments["method"], *(["--location"] if arguments["follow"] else [])]
    words += [word for name, path in files.items() if path is not None for word in (f"--{name}", path)]
    words += [word for name, value in headers.items() for word in ("--header", f"{name}: {value}")]
    words += [] if body is None else ["--data-raw", body]
    name = arguments["server_name"]
    named = f" TLS asks for the name {name}: curl takes it by --connect-to." if name else ""
    good = f" Good statuses: {', '.join(map(str, arguments['expect']))}." if arguments["expect"] else ""
    yield Instruction(f"Send a request.{good}{named}", (" ".join(map(shell_word, [*words, arguments["url"]])),))


def tell_by_hand(_view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """The same message."""
    from runbook.by_hand import Instruction, shell_word

    data = _as_json({"text": arguments["text"]} if arguments["text"] is not None else arguments["json"])
    header = "--header 'Content-Type: application/json'"
    command = f"curl --fail {header} --data-raw {shell_word(data)} {shell_word(arguments['url'])}"
    yield Instruction("Tell them, here or by any other way.", (command,))


def _as_json(value: Any) -> str:
    """As it is sent; of what is known only live its name."""
    import json

    return value if isinstance(value, str) and value.startswith("<") else json.dumps(value, ensure_ascii=False)
