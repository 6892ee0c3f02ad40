"""A file in a store of its own, with what the index would know of it: for tests that need no index."""

from __future__ import annotations

from pathlib import Path

import orjson
import zstandard

from archive.dicom.instance import StoredInstance
from archive.dicom.pixels.decoder import HERE
from archive.dicom.pixels.frames import FrameTable
from archive.dicom.reading.reader import DataSetReader
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.services import explicit, stored_frames
from archive.services.explicit import DecodedPixels
from archive.services.readable import Readable
from archive.storage.base import Blob
from archive.storage.local import LocalStore
from dicom_files import split


class Stored:
    """One file in a store of its own, with what the index would know of it."""

    def __init__(self, folder: Path, file: bytes, transfer_syntax_uid: str = "") -> None:
        """`transfer_syntax_uid`: instead of that of the file, as pydicom does not write all that there are."""
        meta, data_set = split(file)
        reader = DataSetReader(meta.transfer_syntax_uid)
        reader.feed(data_set)
        found = reader.finish()
        self._store = LocalStore(folder, minimum_free_bytes=0)
        writer = self._store.create()
        writer.write(file)
        writer.publish()
        self.instance = StoredInstance(
            found.StudyInstanceUID,
            found.SeriesInstanceUID,
            found.SOPInstanceUID,
            found.SOPClassUID,
            transfer_syntax_uid or found.transfer_syntax_uid,
            writer.key,
            meta.length,
            len(data_set),
            "",
        )
        text = zstandard.ZstdDecompressor().decompressobj().decompress(found.metadata)
        self.metadata = orjson.loads(text)
        self.table = FrameTable.unpack(found.frames) if found.frames else None

    def open(self) -> Blob:
        return self._store.open(self.instance.blob_key)

    def pixels(self) -> DecodedPixels:
        assert self.table is not None
        return DecodedPixels(self.instance, self.open, self.table, self.metadata, HERE)

    def explicit(self) -> Readable:
        explicit.check(self.instance, self.table)
        if transfer_syntax(self.instance.transfer_syntax_uid).encapsulated:
            return explicit.of_compressed(self.instance, self.open, self.pixels())
        return explicit.of_native(self.instance, self.open, stored_frames.pixel_bytes(self.table))
