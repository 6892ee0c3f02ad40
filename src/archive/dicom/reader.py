"""One pass over an encoded data set as it arrives: see `DataSetReader`."""

from __future__ import annotations

from archive.dicom.attributes import ATTRIBUTES
from archive.dicom.instance import Instance

WANTED = frozenset(attribute.tag for attribute in ATTRIBUTES if not attribute.computed)


class DataSetReader:
    """Takes an encoded data set in pieces of any size and learns from it all that the index needs."""

    def __init__(self, transfer_syntax_uid: str, *, wanted: frozenset[int] = WANTED) -> None:
        raise NotImplementedError

    def feed(self, piece: bytes | bytearray | memoryview) -> None:
        """Take the next piece. Raises CannotUnderstand as soon as it is known that the data set is broken."""
        raise NotImplementedError

    def finish(self) -> Instance:
        """Say that the data set ends here. Raises CannotUnderstand if it cannot end here, MissingAttribute,
        InvalidUID and UnsupportedSOPClass."""
        raise NotImplementedError
