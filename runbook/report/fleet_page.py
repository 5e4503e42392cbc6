"""Many clusters on one page of HTML: a tile for each, by its state, those that need somebody first and in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runbook.dataclass import dataclass
from runbook.report.html import load_template

MOST_IN_WORDS = 100  # of one state: beyond that nobody reads sentence after sentence


@dataclass(frozen=True)
class TileState:
    """Its name, the letter that stands for it where colours are not seen, and its ``mood``: bad, warn, good or none."""

    name: str
    letter: str
    mood: str


@dataclass(frozen=True)
class ClusterTile:
    """``link`` is the address of what tells more, relative to the page; ``evidence`` is shown on demand."""

    cluster: str
    state: TileState
    sentence: str
    link: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class FleetPicture:
    """``states`` are all that a tile may have, worst first."""

    title: str
    word: str
    sentence: str
    facts: tuple[tuple[str, str], ...]
    states: tuple[TileState, ...]
    tiles: tuple[ClusterTile, ...]
    footer: str


def format_fleet_page(picture: FleetPicture) -> str:
    """The whole page."""
    groups = [group for state in picture.states if (group := _group(state, picture.tiles))["count"]]
    return load_template("fleet.html").render(page=picture, mood=groups[0]["mood"] if groups else "none", groups=groups)


def _group(state: TileState, tiles: Sequence[ClusterTile]) -> dict[str, Any]:
    of_it = [tile for tile in tiles if tile.state == state]
    most = MOST_IN_WORDS if state.mood in ("bad", "warn") else 0
    return {
        **vars(state),
        "count": len(of_it),
        "in_words": of_it[:most],
        "tiles": of_it[most:],
    }
