"""What would let a refused object in: TABLE error -> a command or a sentence for the administrator.

A class without a row of its own takes that of the class it descends from; a refusal that carries its own remedy has
none here. The commands name the AE title, so they can be typed as they are.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from archive.dicom import errors
from archive.security.admission import adding

_AT_THE_SENDER = "nothing here lets it in: it has to be corrected at the sender"
_KEY_ATTRIBUTE = (
    "the sender has to give the attribute; where it never does, [coercion] in the settings can set it"
)

_NEXT = "; for the next ones: "

REMEDIES: Mapping[type[errors.ArchiveError], str] = {
    errors.ArchiveError: "see the log of the archive",
    errors.InvalidObject: _AT_THE_SENDER,
    errors.MissingAttribute: _KEY_ATTRIBUTE,
    errors.ObjectMismatch: "the sender contradicts itself: it has to be corrected there",
    errors.UnsupportedSOPClass: "no setting: what belongs to no patient is not stored here",
    errors.UnsupportedTransferSyntax: "let the sender use the transfer syntax that it announces",
    errors.InstanceConflict: f"archive conflicts list{_NEXT}archive ae set {{title}} --duplicates conflict",
    errors.OutOfResources: "make room on the disk of the data folder, or lower storage.minimum_free_bytes",
    errors.ObjectTooLarge: "raise limits.maximum_object_bytes in the settings",
    errors.OutcomeUnknown: "the sender has to send it again; see the log for what the index said",
    errors.Gone: "it was deleted here",
    errors.NotAuthorized: "archive ae show {title}",
}


def remedy(
    error: errors.ArchiveError, calling_ae_title: str, address: str = "", *, is_known: bool = True
) -> str:
    """What an administrator does about this error of who calls so from there. Rules are for titles that are known:
    another one has to be added with its rule."""
    own = getattr(error, "remedy", "")
    if own:
        return str(own)
    row = next(REMEDIES[above] for above in type(error).__mro__ if above in REMEDIES)
    now, following, later = row.partition(_NEXT)
    if not calling_ae_title:
        return now
    if is_known:
        return row.format(title=shlex.quote(calling_ae_title))
    options = later.partition("{title}")[2].split() if following else []
    add = adding(calling_ae_title, address, *options)
    return now + following + add if following else row if "{title}" not in row else add
