"""What the site needs beside the pages: the anchors that GitHub makes, and the list of decisions, which grows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ALL = "/*"


def slug(text: str, separator: str) -> str:
    """As GitHub's, so that a link leads to the same heading here and there."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", separator)


def on_config(config: Any) -> Any:
    """Called by mkdocs: an entry that ends with ``/*`` stands for every page of the folder."""
    config.nav = [_expanded(each, Path(config.docs_dir)) for each in config.nav]
    return config


def _expanded(entry: Any, docs: Path) -> Any:
    if isinstance(entry, str) and entry.endswith(ALL):
        folder = docs / entry.removesuffix(ALL)
        return [page.relative_to(docs).as_posix() for page in sorted(folder.glob("*.md"))]
    if isinstance(entry, list):
        return [_expanded(each, docs) for each in entry]
    if isinstance(entry, dict):
        return {title: _expanded(each, docs) for title, each in entry.items()}
    return entry
