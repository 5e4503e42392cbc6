"""The cluster before and after a run, as two pictures: who is in the configuration, who leads, how each was seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import cos, pi, sin

from runbook.dataclass import dataclass
from runbook.report.story import GONE, Look, Story
from runbook.report.svg import picture, shortened, tag, text_at, titled

WIDTH, HEIGHT = 480.0, 440.0
RADIUS, DOT = 138.0, 24.0
RING = 9  # servers that fit on it; more stand in rows
MOST, PER_ROW, CELL, ROW = 48, 8, 60.0, 78.0
NAME, SHORT = 26, 9  # characters
SIGNS: Mapping[str, str] = {"alive": "✓", "dead": "✗", "unknown": "?", GONE: "–"}


@dataclass(frozen=True)
class DrawnServer:
    """One server in one of the pictures. ``fate`` says what became of it between them."""

    name: str
    address: str
    verdict: str
    leads: bool = False
    votes: bool = True
    fate: str = ""

    @property
    def role(self) -> str:
        words = [*(["leader"] if self.leads else []), *([] if self.votes else ["no vote"]), self.fate or self.verdict]
        return ", ".join(words)


def servers_before(story: Story) -> tuple[DrawnServer, ...]:
    """As the last look before any change saw them."""
    return _servers(story, story.look_before) if story.look_before else ()


def servers_after(story: Story) -> tuple[DrawnServer, ...]:
    """As the last look saw them, and at their end those that are gone; of a dry run, those that would be."""
    if story.last_look is None or story.look_before is None:
        return ()
    removals = {removal.name: removal.state for removal in story.state.removals}
    fates = {name: _FATES[state] for name, state in removals.items() if state in _FATES}
    before = story.look_before.verdicts
    here = [
        replace(server, fate="" if server.name in before else "new")
        for server in _servers(story, story.last_look)
        if removals.get(server.name) != "foretold"
    ]
    back = {server.name for server in here if removals.get(server.name) == "gone"}
    here = [replace(server, fate="added back") if server.name in back else server for server in here]
    names = {server.name for server in here}
    missing = (server for server in servers_before(story) if server.name not in names)
    gone = (replace(server, verdict=GONE, leads=False, fate=fates.get(server.name, GONE)) for server in missing)
    order = [server.name for server in servers_before(story)]
    return tuple(sorted((*here, *gone), key=lambda server: _place(server.name, order)))


def _place(name: str, order: Sequence[str]) -> tuple[int, str]:
    """Each where it stood before, and the new ones behind them."""
    return (order.index(name) if name in order else len(order), name)


_FATES: Mapping[str, str] = {"gone": "removed", "vanished": "gone by itself", "foretold": "would be removed"}


def _servers(story: Story, look: Look) -> tuple[DrawnServer, ...]:
    found = [
        DrawnServer(
            name,
            story.addresses.get(name, ""),
            verdict,
            leads=name == look.leader,
            votes=name not in look.non_voters,
        )
        for name, verdict in look.verdicts.items()
    ]
    return tuple(sorted(found, key=lambda server: (not server.leads, server.name)))


def draw_topology(title: str, servers: Sequence[DrawnServer]) -> str:
    """A ring around which the leader stands at the top; rows where they are many."""
    if len(servers) <= RING:
        places = list(_ring(len(servers)))
        lines = _contacts(servers, places)
        height = HEIGHT if len(servers) > 1 else HEIGHT / 2
        dots = (_draw(server, *place, NAME) for server, place in zip(servers, places, strict=True))
        return picture(WIDTH, height, title, *lines, *dots)
    shown = sorted(servers, key=lambda server: (server.verdict == "alive" and not server.leads, server.name))[:MOST]
    places = [(CELL * (n % PER_ROW + 0.5), ROW * (n // PER_ROW) + DOT + 4) for n in range(len(shown))]
    dots = (_draw(server, *place, SHORT) for server, place in zip(shown, places, strict=True))
    left = len(servers) - len(shown)
    height = ROW * ((len(shown) - 1) // PER_ROW + 1) + 26
    more = [text_at(4, height - 8, f"and {left} more, all alive or in the table below", "muted")] if left else []
    return picture(CELL * PER_ROW, height, title, *dots, *more)


def _ring(count: int) -> Iterator[tuple[float, float]]:
    for number in range(count):
        angle = 2 * pi * number / count - pi / 2
        around = RADIUS if count > 1 else 0.0
        yield WIDTH / 2 + around * 1.15 * cos(angle), HEIGHT / 2 + 4 + around * sin(angle) - (0 if count > 1 else 110)


def _contacts(servers: Sequence[DrawnServer], places: Sequence[tuple[float, float]]) -> Iterator[str]:
    """From the leader to each other server; broken to those that it is not in contact with for sure."""
    leader = next((place for server, place in zip(servers, places, strict=True) if server.leads), None)
    if leader is None:
        return
    for server, (x, y) in zip(servers, places, strict=True):
        if server.verdict != GONE and not server.leads:
            kind = "contact" if server.verdict == "alive" else "contact broken"
            yield tag("line", x1=leader[0], y1=leader[1], x2=x, y2=y, cls=kind)


def _draw(server: DrawnServer, x: float, y: float, limit: int) -> str:
    around = [tag("circle", cx=x, cy=y, r=DOT + 5, cls="leads")] if server.leads else []
    dot = tag("circle", cx=x, cy=y, r=DOT if server.votes else DOT - 6, cls=f"server {server.verdict}")
    below = y + DOT + 18
    if limit == NAME and y < HEIGHT / 4:  # at the top the lines to the others leave below
        below = y - DOT - 42
    lines = [
        text_at(x, y + 6, SIGNS.get(server.verdict, "?"), f"sign {server.verdict}", "middle"),
        text_at(x, below, shortened(server.name, limit), "name", "middle"),
    ]
    if limit == NAME:
        lines.append(text_at(x, below + 15, server.role, "role", "middle"))
        lines.append(text_at(x, below + 29, shortened(server.address, limit), "muted", "middle"))
    return titled(dot, f"{server.name} {server.address}: {server.role}", *around, *lines)
