"""Lists of names with weights, as in Accept-Charset and Accept-Encoding (RFC 9110 12.4.2, 12.5)."""

from __future__ import annotations

import re

MAXIMUM_NAMES = 200
"""Of one list; the rest is not read."""

_ONE = re.compile(r'\s*+(?:"([^"]*+)"|([^,;"]*+))\s*+((?:;[^,;]*+)*+)(?:,|$)')
_WEIGHT = re.compile(r";\s*q\s*=\s*([01](?:\.[0-9]{0,9})?|\.[0-9]{1,9})\s*", re.IGNORECASE | re.ASCII)


def weighed(text: str) -> list[tuple[str, float]]:
    """The names in lower case with their weights from 0 to 1, in their order; what cannot be read is left out.
    Linear time."""
    found: list[tuple[str, float]] = []
    position = 0
    while position < len(text) and len(found) < MAXIMUM_NAMES:
        one = _ONE.match(text, position)
        if one is None:
            comma = text.find(",", position)
            position = len(text) if comma < 0 else comma + 1
            continue
        position = one.end()
        name = (one[1] if one[1] is not None else one[2]).strip().lower()
        weight = _WEIGHT.fullmatch(one[3].strip() or ";q=1")
        if name and weight:
            found.append((name, min(float(weight[1]), 1.0)))
    return found


def by_weight(text: str) -> list[str]:
    """The names of a weight above 0, the heaviest first, among equals in their order."""
    return [name for name, weight in sorted(weighed(text), key=lambda pair: -pair[1]) if weight]
