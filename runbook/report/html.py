"""The templates of pages: no network, no script, and nothing that others named turns a line, a direction or a tag."""

from __future__ import annotations

from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from runbook.printable import printable


@cache
def load_template(name: str) -> jinja2.Template:
    """One of those beside this file."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("runbook.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _shown(value: Any) -> Any:
    """What others typed turns no line and no direction; a picture is our own."""
    return value if isinstance(value, Markup) else printable(str(value))
