"""A structured report written for people: TABLE media type -> writer (PS3.18 Table 8.7.4-1).

Every character of the object is escaped, and what neither HTML nor XML may hold is replaced, so a report cannot be
anything but text. The HTML has no script, no link and no picture; the answer forbids them besides.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from xml.sax.saxutils import escape, quoteattr

from archive.dicom.rendering.structured_report import ContentItem, Report

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document may hold; UTF-8 cannot hold the surrogates among it."""
_MORE = "(there is more, which is not shown)"
_STYLE = (
    "body{font:1rem/1.4 sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "dt{float:left;clear:left;width:12rem;color:#555}dd{margin-left:12.5rem;min-height:1.4em}"
    "section{margin-left:1rem}h2,h3,h4,h5,h6{margin:1em 0 .2em}p{margin:.2em 0;white-space:pre-wrap}b{font-weight:600}"
)


def to_html(report: Report) -> Iterator[str]:
    """A page of HTML5: nested sections for containers, a paragraph for each item."""
    yield f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>{_html(report.title)}</title>'
    yield f"<style>{_STYLE}</style></head><body>\n<h1>{_html(report.title)}</h1>\n<dl>"
    for name, value in report.header:
        yield f"<dt>{_html(name)}</dt><dd>{_html(value)}</dd>\n"
    yield "</dl>\n"
    depth = 0
    for item in report.content[1:]:
        while depth >= item.depth:
            yield "</section>"
            depth -= 1
        yield f"<section>{_html_item(item)}"
        depth += 1
    yield "</section>" * depth + f"\n<p>{_MORE}</p>" * report.cut + "\n</body></html>\n"


def _html_item(item: ContentItem) -> str:
    more = f"<p>{_MORE}</p>" * item.cut
    if item.value_type == "CONTAINER":
        level = min(item.depth + 1, 6)
        return f"<h{level}>{_html(item.name)}</h{level}>\n{more}"
    name = f"<b>{_html(item.name)}:</b> " if item.name else ""
    return f"<p>{name}{_html(item.value)}</p>\n{more}"


def to_plain(report: Report) -> Iterator[str]:
    """Lines, items below their parents moved to the right."""
    title = _clean(report.title).replace("\n", " ")
    yield f"{title}\n{'=' * min(len(title), 80)}\n\n"
    for name, value in report.header:
        yield f"{name}: {_clean(value)}\n"
    yield "\n"
    for item in report.content[1:]:
        margin = "  " * (item.depth - 1)
        said = ": ".join(part for part in (_clean(item.name), _clean(item.value)) if part)
        if said:
            yield margin + said.replace("\r\n", "\n").replace("\n", f"\n{margin}  ") + "\n"
        if item.cut:
            yield f"{margin}  {_MORE}\n"
    if report.cut:
        yield f"{_MORE}\n"


def to_xml(report: Report) -> Iterator[str]:
    """`<report>` with its `<header>`, then nested `<item>`s: `type`, `name` and `relationship` are attributes."""
    cut = ' cut="true"' if report.cut else ""
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<report title={_attribute(report.title)}{cut}>\n<header>\n'
    for name, value in report.header:
        yield f"<field name={_attribute(name)}>{_xml(value)}</field>\n"
    yield "</header>\n"
    depth = -1
    for item in report.content:
        while depth >= item.depth:
            yield "</item>"
            depth -= 1
        yield _xml_item(item)
        depth += 1
    yield "</item>" * (depth + 1) + "\n</report>\n"


def _xml_item(item: ContentItem) -> str:
    facts = {"type": item.value_type, "name": item.name, "relationship": item.relationship}
    attributes = "".join(f" {name}={_attribute(value)}" for name, value in facts.items() if value)
    value = f"<value>{_xml(item.value)}</value>" if item.value else ""
    cut = ' cut="true"' if item.cut else ""
    return f"\n<item{attributes}{cut}>{value}"


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)


def _html(text: str) -> str:
    return html.escape(_clean(text))


def _xml(text: str) -> str:
    return escape(_clean(text), {"\r": "&#13;"})


def _attribute(text: str) -> str:
    return quoteattr(_clean(text), {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})


WRITERS: dict[str, Callable[[Report], Iterator[str]]] = {
    "text/html": to_html,
    "text/plain": to_plain,
    "text/xml": to_xml,
}
"""Media type -> writer; the first is the default."""
