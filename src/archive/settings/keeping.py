"""What is stored, found, shown and written down."""

from __future__ import annotations

from dataclasses import dataclass

from archive.settings.values import setting

PREAMBLES = ("zero", "keep-tiff", "reject")
"""What may become of the 128 bytes before a PS3.10 file."""


@dataclass(frozen=True)
class IndexSettings:
    """The metadata index."""

    url: str = setting("", "sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME; empty: in the data.")


@dataclass(frozen=True)
class StorageSettings:
    """The store of bytes."""

    minimum_free_bytes: int = setting(1073741824, "With less room on the disk, objects are refused.", 0)
    preamble: str = setting(
        "zero",
        "Preambles of files that are no zeros: zero, keep-tiff (others are zeroed), reject the object.",
        choices=PREAMBLES,
    )
    copies_days: int = setting(30, "Days that what a decided conflict kept aside stays; 0: for good.", 0)
    scrub_bytes_per_second: int = setting(8388608, "How fast what is stored is read again; 0: it is not.", 0)


@dataclass(frozen=True)
class RejectionSettings:
    """Rejection notes (IHE Imaging Object Change Management): what they hide."""

    quality: str = setting(
        "hide", "Whether notes for quality reasons hide: hide or show.", choices=("hide", "show")
    )
    keep_days: int = setting(0, "Days that the bytes of rejected instances are held; 0: for good.", 0)


@dataclass(frozen=True)
class DeletionSettings:
    """Deleting: who has to agree."""

    approval: bool = setting(False, "True: a deletion waits until a second person has approved.")
    reason_required: bool = setting(False, "True: nothing is deleted without a reason.")


@dataclass(frozen=True)
class Limits:
    """What one object or question may cost."""

    maximum_object_bytes: int = setting(17179869184, "Largest object, in bytes of its data set.", 1)
    maximum_query_results: int = setting(10000, "Most matches in one answer.", 1)
    search_seconds: int = setting(
        10, "Seconds that the index may look for matches; longer searches are refused.", 1
    )


@dataclass(frozen=True)
class DecodingSettings:
    """What the decoding of one compressed frame may cost; it happens in a process of its own."""

    memory_bytes: int = setting(4294967296, "Most memory, however large the frame.", 16777216)
    seconds: int = setting(30, "Most seconds of processor time.", 1)


@dataclass(frozen=True)
class MediaSettings:
    """What `archive export` writes on media."""

    contact: str = setting("", "Who makes them, with address and telephone: for README.TXT.")


@dataclass(frozen=True)
class ViewerSettings:
    """The viewer at /viewer: OHIF, when `archive viewer install` has fetched it."""

    folder: str = setting("", "Where its files are; empty: in the data.")
    registry: str = setting("https://registry.npmjs.org", "URL of the npm registry that it is fetched from.")


@dataclass(frozen=True)
class Log:
    """Operational logs, on stderr. They never hold patient data."""

    level: str = setting(
        "info", "debug, info, warning or error.", choices=("debug", "info", "warning", "error")
    )
