"""The text of an AE title: what it may be (PS3.5 6.2, VR AE), and how one that may not be is written down.

Callers do send titles that are none: blank, padded with NULs, in the local character set. Such a title is shown, and
given by an administrator, with each odd byte as \\xNN.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

LONGEST = 16
_ESCAPED = re.compile(r"\\x([0-9A-Fa-f]{2})")


def normalise(title: str) -> str:
    """Without the padding: leading and trailing spaces are not significant (PS3.5 6.2), some callers pad with
    NUL."""
    return title.strip(" \0")


def is_title(text: str) -> bool:
    """Whether this can be an AE title, normalised."""
    return (
        1 <= len(text) <= LONGEST
        and text.isascii()
        and text.isprintable()
        and "\\" not in text
        and text == normalise(text)
    )


def escaped(title: str) -> str:
    """A title as it came, in printable ASCII."""
    return "".join(
        each if each.isascii() and each.isprintable() and each != "\\" else f"\\x{ord(each):02x}"
        for each in title.encode("latin-1", "replace").decode("latin-1")
    )


def unescaped(text: str) -> str:
    """What an administrator has written, with \\xNN for a byte."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def same_bytes(sent: str, alias: str) -> bool:
    """Whether a caller's title, its bytes read as latin-1, is this one; in whatever character set it is sent."""
    return sent == alias or (not alias.isascii() and sent in _as_sent(alias))


def _as_sent(alias: str) -> Iterator[str]:
    for codec in _CODECS:
        with contextlib.suppress(UnicodeEncodeError):
            yield alias.encode(codec).decode("latin-1")


_CODECS = (
    "utf-8",
    "cp1252",
    "iso8859-2",
    "iso8859-5",
    "iso8859-7",
    "cp1251",
    "shift_jis",
    "euc_kr",
    "gb18030",
)
