"""Attributes as people and URLs name them: eight hex digits, a keyword, or a path of these (PS3.18 8.3.4.1).

The registry of keywords is pydicom's (PS3.6 chapter 6).
"""

from __future__ import annotations

import functools
import re

from pydicom.datadict import keyword_for_tag, tag_for_keyword

_TAG = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_KEYWORD = re.compile(r"[A-Z][A-Za-z0-9]{0,63}", re.ASCII)
_MAXIMUM_DEPTH = 8


@functools.lru_cache(maxsize=4096)
def attribute_path(text: str) -> tuple[int, ...] | None:
    """The tags that `00400275.00400009` or `RequestAttributesSequence.RequestedProcedureID` names; None for what is
    no attribute."""
    if len(text) > _MAXIMUM_DEPTH * 65:
        return None
    tags = [_tag(part) for part in text.split(".")]
    known = tuple(tag for tag in tags if tag is not None)
    return known if len(known) == len(tags) <= _MAXIMUM_DEPTH else None


@functools.lru_cache(maxsize=4096)
def keyword(tag: int) -> str:
    """The keyword of a tag; empty for a private or unknown one."""
    return str(keyword_for_tag(tag))


def path_name(path: tuple[int, ...]) -> str:
    """A path as text: keywords where there are any, else tags."""
    return ".".join(keyword(tag) or f"{tag:08X}" for tag in path)


def _tag(text: str) -> int | None:
    if _TAG.fullmatch(text):
        return int(text, 16)
    found = tag_for_keyword(text) if _KEYWORD.fullmatch(text) else None
    return None if found is None else int(found)
