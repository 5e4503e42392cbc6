"""Pictures as SVG that stands in a page. All text passes one function, so that no name breaks out of a picture."""

from __future__ import annotations

from html import escape

from runbook.printable import printable_line


def tag(name: str, *inside: str, **attributes: object) -> str:
    """One element. ``inside`` are elements; numbers get one decimal, ``cls`` is ``class``, ``_`` is ``-`` in a name."""
    told = "".join(f' {_name(key)}="{_value(value)}"' for key, value in attributes.items() if value is not None)
    return f"<{name}{told}>{''.join(inside)}</{name}>" if inside else f"<{name}{told}/>"


def words(text: str) -> str:
    """The text of an element: names of servers and steps, as they were given."""
    return escape(printable_line(text))


def text_at(x: float, y: float, text: str, cls: str = "", anchor: str | None = None) -> str:
    """Words at a place. Right-to-left letters turn nothing around them."""
    return tag("text", words(text), x=x, y=y, cls=cls or None, text_anchor=anchor)


def titled(element: str, title: str, *more: str) -> str:
    """An element that says more under a pointer, and to a screen reader."""
    return tag("g", tag("title", words(title)), element, *more)


def shortened(text: str, limit: int) -> str:
    """At most so many characters, the end left out."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def picture(width: float, height: float, title: str, *inside: str) -> str:
    """The whole, with its name for who cannot see it."""
    label = tag("title", words(title))
    size = {"viewBox": f"0 0 {_value(width)} {_value(height)}", "width": width, "height": height}
    return tag("svg", label, *inside, role="img", **size)


def _name(key: str) -> str:
    return {"cls": "class", "viewBox": "viewBox"}.get(key, key.replace("_", "-"))


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return escape(printable_line(str(value)))
