"""``runbook docs``: the pages of the documentation, without a network."""

from __future__ import annotations

import click

from runbook.cli.options import completes
from runbook.cli.output import Output


@click.command()
@click.argument("page", required=False, shell_complete=completes("page"))
def docs(page: str | None) -> None:
    """List the pages of the documentation, or print a PAGE. It is Markdown.

    At a terminal both are shown by $PAGER, or by less. A link in one page is the name of another.
    """
    from runbook.shipped_pages import SUFFIX, page_names, read_page

    if page is None:
        titles = {name: _title(read_page(name)) for name in page_names()}
        width = max(map(len, titles), default=0)
        Output().page("".join(f"{name:<{width}}  {title}\n" for name, title in titles.items()))
        return
    Output().page(read_page(_known(page.removeprefix("docs/").removesuffix(SUFFIX))))


def _known(name: str) -> str:
    """This name, where there is such a page. Raises click.BadParameter."""
    from runbook.playbook.diagnostics import did_you_mean, quoted
    from runbook.shipped_pages import page_names

    known = page_names()
    if name in known:
        return name
    if not known:
        raise click.BadParameter("this installation came without any page, so install it anew")
    ends = [quoted(each) for each in known if each.endswith(f"/{name}")]
    near = f"Did you mean {' or '.join(ends)}?" if ends else did_you_mean(name, known) or "`runbook docs` lists them"
    raise click.BadParameter(f"there is no page {quoted(name)}. {near}")


def _title(text: str) -> str:
    return text.partition("\n")[0].lstrip("# ")
