"""A run in Markdown, for a chat or an issue: its end, its numbers, what stood out, its steps, and what is to be asked.

What others named or said is escaped, so that nothing of it is taken for a heading, a link, a cell or HTML.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runbook.report.plain_words import plain_words
from runbook.report.post_mortem import post_mortem
from runbook.report.story import Story
from runbook.report.summary import headline, summary_rows
from runbook.report.times import format_seconds

MOST = 200  # moments and verdicts of each sort that are shown; the record has them all


def format_markdown(story: Story) -> str:
    """The whole of it, as one text."""
    return "\n".join([*_head(story), *_moments(story), *_verdicts(story), *_steps(story), *_questions(story), ""])


def _head(story: Story) -> Iterator[str]:
    started = story.state.started or {}
    run, cluster = str(started.get("run", "?")), str(started.get("cluster", "?"))
    how, _, sentence = headline(story.state).partition(": ")
    yield f"# {plain_words(how)}"
    yield from ("", *([plain_words(sentence), ""] if sentence else []))
    yield from _table(
        ("", ""), [("run", run), ("cluster", cluster), *summary_rows(story.state, str(started.get("run", "")))]
    )


def _moments(story: Story) -> Iterator[str]:
    if story.moments:
        yield from ("", "## What happened", "")
        yield from _table(
            ("when", "step", "what", ""), [(m.clock, m.step, m.sort, m.words) for m in story.moments[:MOST]]
        )
        yield from _more(len(story.moments))


def _verdicts(story: Story) -> Iterator[str]:
    if story.verdicts:
        yield from ("", "## Verdicts and what they rest on", "")
        rows = [(v.clock, v.name, v.verdict, v.evidence) for v in story.verdicts[:MOST]]
        yield from _table(("when", "server", "verdict", "evidence"), rows)
        yield from _more(len(story.verdicts))


def _steps(story: Story) -> Iterator[str]:
    if story.steps:
        yield from ("", "## Steps", "")
        rows = [(step.place, step.outcome, format_seconds(step.seconds), step.message) for step in story.steps.values()]
        yield from _table(("step", "outcome", "took", "result"), rows)


def _questions(story: Story) -> Iterator[str]:
    yield from ("", "## Post-mortem")
    for section in post_mortem(story):
        yield from ("", f"### {plain_words(section.title)}", "")
        yield from (f"- {plain_words(line)}" for line in section.lines)
        yield from (f"- [ ] {plain_words(question)}" for question in section.questions)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(map(plain_words, row))} |" for row in rows)


def _more(number: int) -> Iterator[str]:
    if number > MOST:
        yield from ("", f"{number - MOST} more are in the record.")
