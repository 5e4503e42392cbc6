"""The pages of the documentation come with this package, as Markdown, and are called by their names."""

from __future__ import annotations

import os
from collections.abc import Iterator

from runbook.files import read_limited
from runbook.package_data import PACKAGE, names_in

FOLDER = os.path.join(PACKAGE, "docs")  # noqa: PTH118
SUFFIX = ".md"
LARGEST = 1024 * 1024  # bytes


def page_names() -> tuple[str, ...]:
    """In alphabetical order, those of a folder after those beside it."""
    return tuple(sorted(_names_under(""), key=lambda name: ("/" in name, name)))


def _names_under(prefix: str) -> Iterator[str]:
    for name in names_in(os.path.join(FOLDER, prefix)):  # noqa: PTH118
        if name.endswith(SUFFIX):
            yield prefix + name.removesuffix(SUFFIX)
        elif "." not in name:
            yield from _names_under(f"{prefix}{name}/")


def read_page(name: str) -> str:
    """Raises OSError where there is none."""
    return read_limited(os.path.join(FOLDER, f"{name}{SUFFIX}"), LARGEST).decode("utf-8", "replace")  # noqa: PTH118
