"""``report.html`` in the folder of a run: drawn from its journal, and from the copy of its playbook that it names."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook.errors import PlaybookError
from runbook.files import read_limited, replace_file
from runbook.playbook.parser import parse_playbook
from runbook.playbook.reader import MAX_BYTES
from runbook.run_state import RunState
from runbook.session.run_folders import JOURNAL, PLAYBOOK, read_run
from runbook.steps.registry import CATALOG

if TYPE_CHECKING:
    from runbook.report.playbook_lines import PlaybookText

REPORT = "report.html"
LARGEST = 64 * 1024**2  # bytes of a journal from which a run draws its report as it ends

Hide = Callable[[str], Any]


def draw_report(folder: Path, hide: Hide) -> str:
    """The page. ``hide`` takes secrets out of the playbook's text; the journal has none.

    Raises JournalError, TransitionError and OSError for whatever lies there.
    """
    from runbook.report.page import format_page

    record, state = read_run(folder)
    return format_page(record.events, state, playbook_text(folder, state, hide))


def tell_run(folder: Path, form: str) -> str:
    """The run as ``markdown`` or ``junit``. Raises as :func:`draw_report` does."""
    from runbook.report.junit import format_junit
    from runbook.report.markdown import format_markdown
    from runbook.report.story import tell

    record, state = read_run(folder)
    story = tell(record.events, state)
    return format_junit(story) if form == "junit" else format_markdown(story)


def write_report(folder: Path, hide: Hide) -> Path:
    """Write it, whole and for this user alone. Raises as :func:`draw_report` does."""
    path = folder / REPORT
    replace_file(path, draw_report(folder, hide).encode("utf-8", "backslashreplace"))
    return path


def write_report_if_possible(folder: Path, hide: Hide) -> None:
    """At the end of a run, whose outcome stands already: whatever fails here changes nothing of it."""
    with contextlib.suppress(Exception):
        if (folder / JOURNAL).stat().st_size <= LARGEST:
            write_report(folder, hide)


def playbook_text(folder: Path, state: RunState, hide: Hide) -> PlaybookText:
    """The text with which the run began, as far as it is still that, and where its steps stand in it."""
    from runbook.report.playbook_lines import PlaybookText

    try:
        data = read_limited(folder / PLAYBOOK, MAX_BYTES)
    except OSError as error:
        return PlaybookText(trouble=f"{PLAYBOOK} of the run cannot be read: {error.strerror}.")
    if state.started is None or hashlib.sha256(data).hexdigest() != state.started["digest"]:
        return PlaybookText(trouble=f"{PLAYBOOK} of the run is not what the run began with, so it is not shown.")
    steps: dict[str, tuple[int, int]] = {}
    with contextlib.suppress(PlaybookError):  # of another version, or with steps of a package that is not here
        playbook = parse_playbook(data, PLAYBOOK, CATALOG)
        steps = {step.id: (step.mark.line, step.mark.column) for step in playbook.every_step()}
    return PlaybookText(str(hide(data.decode("utf-8", "replace"))), steps)
