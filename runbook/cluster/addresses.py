"""What an address of a cluster's API looks like, and which two are one place. Pure: nothing is resolved or opened."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


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


def place_of(address: str, port: int) -> str:
    """What two spellings of one address have in common; ``port`` is the product's own, where none is named."""
    parts = urlsplit(address)
    return f"{(parts.hostname or '').lower()} {parts.port or port} {parts.path.rstrip('/')}"
