"""The pictures that the pages in docs show: the screen of a run, a diagnosis, and the timeline of a report, as SVG.

``make docs`` writes them anew. They are drawn from fixed events and a fixed view, by the program's own functions.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Mapping
from html import unescape
from pathlib import Path

from rich.console import Console, RenderableType
from rich.text import Text

from runbook.raft.diagnosis.diagnose import diagnose
from runbook.recorded import fold_recorded
from runbook.report import page
from runbook.report.diagnosis import format_diagnosis
from runbook.report.live_draw import draw
from runbook.report.live_view import LiveView
from runbook.report.story import tell
from runbook.report.stream import paint
from runbook.report.timeline import draw_timeline
from tests.diagnosis.test_cases import view_of as view_of_case
from tests.report.live_run import BEGAN, confirming, recovery, view_of

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
LINES = 40
SVG = """\
<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" xmlns="http://www.w3.org/2000/svg">
<style>.{unique_id}-matrix {{ font: {char_height}px ui-monospace, Menlo, Consolas, monospace }}
{styles}</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


def svg_of(what: RenderableType, columns: int, name: str) -> str:
    """As a terminal so wide shows it; nothing is fetched from anywhere."""
    console = Console(width=columns, record=True, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(what)
    console.print()  # else the last line is cut through
    return console.export_svg(title="", code_format=SVG, unique_id=name)


def live_svg(view: LiveView, second: float, columns: int, name: str = "live") -> str:
    size = os.terminal_size((columns + 1, LINES))
    return svg_of(draw(view, BEGAN.timestamp() + second, size), columns, name)


def diagnosis_svg(case: str, columns: int = 100, name: str = "diagnose") -> str:
    """What it prints of a view that a test knows, in its colours."""
    view = view_of_case(case)
    lines = format_diagnosis(view, diagnose(view), columns)
    return svg_of(Text.from_ansi(paint("\n".join(lines))), columns, name)


def timeline_svg() -> str:
    """That of a report, with the colours of its page."""
    events = recovery()
    drawn = draw_timeline(tell(events, fold_recorded(events)))
    css = (Path(page.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
    begin, _, rest = drawn.partition(">")
    return f'{begin} xmlns="http://www.w3.org/2000/svg"><style><![CDATA[{css}]]></style>{rest}'


PICTURES: Mapping[str, Callable[[], str]] = {
    "live.svg": lambda: live_svg(view_of(confirming()), 19, 100),
    "diagnose.svg": lambda: diagnosis_svg("one_of_three_is_dead"),
    "timeline.svg": timeline_svg,
}


def words_in(svg: str) -> list[str]:
    """What is read in a picture, which is the same whatever release of rich drew it."""
    return unescape(" ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))).split()


def main(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, picture in PICTURES.items():
        (folder / name).write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
