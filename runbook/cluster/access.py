"""What people give to reach a cluster: addresses of its API, secrets, files for TLS. What is wrong with them is told
before anything is sent.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from runbook.errors import SettingsError


def split_address(address: str) -> SplitResult | None:
    """The parts of an ``http://`` or ``https://`` address of an API; None where it is none.

    It may have a port and a path prefix, and no user, password, query or fragment.
    """
    try:
        parts = urlsplit(address)
        whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    plain = "@" not in parts.netloc and not parts.query and not parts.fragment
    spelled = address.isprintable() and " " not in address
    return parts if whole and plain and spelled and parts.scheme in ("http", "https") else None


def socket_path(address: str) -> str | None:
    """The absolute path of the socket that a ``unix://`` address names; None where it names none."""
    if not address.startswith("unix://"):
        return None
    path = address.removeprefix("unix://")
    spelled = path.isprintable() and not set(path) & set(" ?#@")
    return path.rstrip("/") if path.startswith("/") and path.strip("/") and spelled else None


def place_of(address: str, port: int) -> str:
    """What two spellings of one address have in common; ``port`` is the product's own, where none is named."""
    path = socket_path(address)
    if path:
        return f"unix {path}"
    parts = urlsplit(address)
    return f"{(parts.hostname or '').lower()} {parts.port or port} {parts.path.rstrip('/')}"


def header_value(name: str, text: str | None) -> str:
    """A secret that can stand in a header: anything else would be told by the library, with the value.

    Raises SettingsError, which holds only its ``name``.
    """
    stripped = (text or "").strip()
    if not (stripped.isascii() and stripped.isprintable()):
        raise SettingsError(f"{name} holds characters that no token has")
    return stripped


def check_readable(name: str, path: str, *, is_folder: bool) -> None:
    """Raises SettingsError that begins with ``name`` where this user cannot read the file or folder at ``path``."""
    there = Path(path).is_dir() if is_folder else Path(path).is_file()
    if not there:
        exists = Path(path).exists()
        kind = "folder" if is_folder else "regular file"
        raise SettingsError(f"{name}: {path}: {f'not a {kind}' if exists else f'no such {kind.split()[-1]}'}")
    if not os.access(path, os.R_OK):
        raise SettingsError(f"{name}: {path}: this user may not read it")


def system_authorities() -> bool | str:
    """The library would otherwise trust a list of its own, which lacks what a company added to its machines."""
    import ssl

    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath or True
