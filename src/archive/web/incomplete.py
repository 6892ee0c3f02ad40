"""An answer for many instances of which some are damaged: the others, and that they are not all.

206 by PS3.18 Table 10.4.3-1, as 200 would say that all are there; 8.5 has 206 for ranges alone, and has no other status
for this. No entity tag: who holds the answer does not hold the study. Who asks for a range is refused, as the bytes
would not fit to those of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from archive.dicom.instance import StoredInstance
from archive.web.http.exchange import Answer, Asked, text

NAMED = 10
"""UIDs in a header; there may be thousands."""


def told(answer: Answer, asked: Asked, damaged: Sequence[StoredInstance]) -> Answer:
    """The answer itself if nothing is damaged."""
    if not damaged:
        return answer
    warnings = warning(asked, damaged)
    if "range" in asked.headers:
        return text(416, "instances of this are damaged: ask for the others without Range", *warnings)
    return replace(answer, status=206, headers=(*answer.headers, *warnings), etag="")


def warning(asked: Asked, damaged: Sequence[StoredInstance]) -> tuple[tuple[str, str], ...]:
    """A Warning that names some of them; nothing if nothing is damaged."""
    if not damaged:
        return ()
    uids = " ".join(one.SOPInstanceUID for one in damaged[:NAMED])
    more = f" and {len(damaged) - NAMED} more" if len(damaged) > NAMED else ""
    count = f"{len(damaged)} stored {'instance is' if len(damaged) == 1 else 'instances are'}"
    return (("Warning", f"299 {asked.base_url}: {count} damaged and cannot be had: {uids}{more}"),)
