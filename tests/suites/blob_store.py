"""What every place for bytes must do (storage/base). A backend's test class inherits this and gives `store`."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from archive.dicom.errors import NotFound, OutOfResources
from archive.storage.base import BlobStore

CONTENT = bytes(range(256)) * 8192


def stored(store: BlobStore, *pieces: bytes | bytearray | memoryview) -> str:
    writer = store.create()
    for piece in pieces:
        writer.write(piece)
    writer.publish()
    return writer.key


class BlobStoreSuite:
    """The promises, one by one."""

    @pytest.fixture
    def store(self) -> BlobStore:
        raise NotImplementedError

    @pytest.mark.parametrize("size", [1, 777, 262_144, 1_000_003])
    def test_pieces_of_any_size_come_back_as_they_were(self, store: BlobStore, size: int) -> None:
        pieces = [CONTENT[start : start + size] for start in range(0, min(len(CONTENT), size * 5000), size)]
        whole = b"".join(pieces)
        with store.open(stored(store, *pieces)) as blob:
            assert blob.length == len(whole)
            assert blob.read(0, blob.length) == whole
            assert b"".join(blob.pieces(0, blob.length)) == whole

    def test_pieces_may_be_any_buffer_and_may_change_afterwards(self, store: BlobStore) -> None:
        reused = bytearray(b"first")
        writer = store.create()
        writer.write(reused)
        reused[:] = b"again"
        writer.write(memoryview(reused)[1:3])
        writer.publish()
        with store.open(writer.key) as blob:
            assert blob.read(0, blob.length) == b"firstga"

    def test_a_stretch_outlives_the_blob_and_the_key(self, store: BlobStore) -> None:
        key = stored(store, CONTENT)
        with store.open(key) as blob:
            stretch = blob.stretch(1000, 300_000)
            with pytest.raises(NotFound):
                blob.stretch(len(CONTENT) - 10, 11)
        if stretch is None:
            return  # blobs are no files here
        store.delete(key)
        assert stretch.fetch() in (True, False)
        assert os.pread(stretch.descriptor, stretch.length, stretch.offset) == CONTENT[1000:301_000]
        assert stretch.read() == CONTENT[1000:301_000]
        stretch.close()
        stretch.close()
        with pytest.raises(OutOfResources):
            stretch.read()

    def test_an_empty_blob_is_a_blob(self, store: BlobStore) -> None:
        with store.open(stored(store)) as blob:
            assert (blob.length, blob.read(0, 0), list(blob.pieces(0, 0))) == (0, b"", [])

    def test_the_lengths_of_many(self, store: BlobStore) -> None:
        keys = [stored(store, CONTENT[:size]) for size in (7, 0, 300)]
        store.delete(keys[1])
        assert store.lengths([*keys, keys[0]]) == [7, -1, 300, 7]
        assert store.lengths([]) == []

    def test_ranges(self, store: BlobStore) -> None:
        with store.open(stored(store, CONTENT)) as blob:
            assert blob.read(1000, 300) == CONTENT[1000:1300]
            assert blob.read(len(CONTENT) - 1, 1) == CONTENT[-1:]
            pieces = list(blob.pieces(5, len(CONTENT) - 10))
        assert b"".join(pieces) == CONTENT[5:-5]
        assert max(map(len, pieces)) <= 1 << 20

    @pytest.mark.parametrize(("offset", "length"), [(0, 11), (10, 1), (11, 0), (-1, 2), (2, -1)])
    def test_bytes_that_are_not_there_are_not_found(self, store: BlobStore, offset: int, length: int) -> None:
        with store.open(stored(store, b"0123456789")) as blob, pytest.raises(NotFound):
            blob.read(offset, length)

    def test_pieces_past_the_end_are_not_found(self, store: BlobStore) -> None:
        with store.open(stored(store, b"0123456789")) as blob, pytest.raises(NotFound):
            list(blob.pieces(5, 6))

    def test_nothing_is_visible_before_publish(self, store: BlobStore) -> None:
        writer = store.create()
        writer.write(CONTENT)
        with pytest.raises(NotFound):
            store.open(writer.key)
        assert list(store.keys()) == []
        writer.discard()

    def test_what_was_written_is_read_back_before_publish(self, store: BlobStore) -> None:
        writer = store.create()
        writer.write(b"some")
        with writer.read_back() as blob:
            assert (blob.length, blob.read(1, 3)) == (4, b"ome")
        writer.write(b" more")
        with writer.read_back() as blob:
            assert b"".join(blob.pieces(0, blob.length)) == b"some more"
        writer.publish()
        with store.open(writer.key) as blob:
            assert blob.read(0, 9) == b"some more"

    @pytest.mark.parametrize("count", [0, 1, 5])
    def test_several_are_published_together(self, store: BlobStore, count: int) -> None:
        writers = [store.create() for _ in range(count)]
        for number, writer in enumerate(writers):
            writer.write(bytes([number]) * 300_000)
        assert store.publish_all(writers) == [None] * count
        assert sorted(store.keys()) == sorted(writer.key for writer in writers)
        for number, writer in enumerate(writers):
            with store.open(writer.key) as blob:
                assert blob.read(0, blob.length) == bytes([number]) * 300_000
        assert store.sweep(0) == 0
        for writer in writers:
            writer.discard()
        assert list(store.keys()) == []

    def test_discard_leaves_nothing(self, store: BlobStore) -> None:
        unpublished, published = store.create(), store.create()
        unpublished.write(CONTENT)
        published.publish()
        for writer in (unpublished, published):
            writer.discard()
            writer.discard()
            with pytest.raises(NotFound):
                store.open(writer.key)
        assert list(store.keys()) == []
        assert store.sweep(0) == 0

    def test_delete(self, store: BlobStore) -> None:
        key = stored(store, b"x")
        store.delete(key)
        store.delete(key)
        with pytest.raises(NotFound):
            store.open(key)

    def test_delete_all(self, store: BlobStore) -> None:
        """Those that are gone, and those in other folders, are no error."""
        keys = [stored(store, b"%d" % number) for number in range(3)]
        store.delete(keys[0])
        store.delete_all([*keys[:2], "00/00/" + 32 * "0"])
        assert set(store.keys()) == {keys[2]}
        store.delete_all([])

    def test_an_open_blob_can_be_read_by_many_threads(self, store: BlobStore) -> None:
        with store.open(stored(store, CONTENT)) as blob, ThreadPoolExecutor(8) as pool:
            read = pool.map(lambda start: blob.read(start, 4096), range(0, len(CONTENT), 4096))
            assert b"".join(read) == CONTENT

    def test_many_writers_at_once(self, store: BlobStore) -> None:
        contents = [CONTENT[number:] for number in range(16)]
        with ThreadPoolExecutor(8) as pool:
            keys = list(pool.map(lambda content: stored(store, content), contents))
        assert sorted(store.keys()) == sorted(keys)
        for key, content in zip(keys, contents, strict=True):
            with store.open(key) as blob:
                whole = blob.read(0, blob.length)
            assert hashlib.sha256(whole).digest() == hashlib.sha256(content).digest()

    @pytest.mark.parametrize(
        "key",
        [
            "",
            "..",
            "../../etc/passwd",
            "/etc/passwd",
            "00/00/../../spool/x",
            f"00/00/{0:032x}",
            f"00/00/{0:033x}",
            f"00/00/{0:031x}\n",
            f"00/00/{0:031x}\0",
            f"AA/BB/{0:032x}",
        ],
    )
    def test_no_other_key_leads_anywhere(self, store: BlobStore, key: str) -> None:
        with pytest.raises(NotFound):
            store.open(key)

    def test_sweep_leaves_who_is_still_writing_alone(self, store: BlobStore) -> None:
        kept = stored(store, b"kept")
        slow = store.create()
        slow.write(CONTENT)
        assert store.sweep(0) == 0
        slow.publish()
        assert set(store.keys()) == {kept, slow.key}

    def test_check_leaves_nothing(self, store: BlobStore) -> None:
        store.check()
        assert list(store.keys()) == []
        assert store.sweep(0) == 0

    def test_a_spool_is_read_anywhere_while_it_grows(self, store: BlobStore) -> None:
        spool = store.spool()
        spool.write(CONTENT[:1000])
        spool.write(memoryview(CONTENT)[1000:])
        assert spool.length == len(CONTENT)
        assert b"".join(spool.pieces(990, 20)) == CONTENT[990:1010]
        spool.write(bytearray(b"more"))
        with ThreadPoolExecutor(4) as pool:
            read = list(
                pool.map(lambda start: b"".join(spool.pieces(start, 50_000)), range(0, 400_000, 50_000))
            )
        assert b"".join(read) == CONTENT[:400_000]
        assert b"".join(spool.pieces(len(CONTENT), 4)) == b"more"
        assert max(map(len, spool.pieces(0, spool.length))) <= 1 << 20
        spool.close()
        spool.close()

    def test_a_spool_is_no_blob(self, store: BlobStore) -> None:
        spool = store.spool()
        spool.write(b"nobody's")
        assert list(store.keys()) == []
        assert store.sweep(0) == 0
        assert b"".join(spool.pieces(0, 8)) == b"nobody's"
        with pytest.raises(OutOfResources):
            list(spool.pieces(4, 5))
        spool.close()
        assert store.sweep(0) == 0

    def test_what_is_known_without_reading(self, store: BlobStore) -> None:
        before = time.time()
        key = stored(store, CONTENT)
        found = store.stat(key)
        assert found.length == len(CONTENT)
        assert before - 5 <= found.changed_at <= time.time() + 5
        store.delete(key)
        with pytest.raises(NotFound):
            store.stat(key)
        with pytest.raises(NotFound):
            store.stat("../spool")

    def test_examined_bytes_are_those_that_were_stored(self, store: BlobStore) -> None:
        pieces = list(store.examine(stored(store, CONTENT)))
        assert b"".join(pieces) == CONTENT
        assert max(map(len, pieces)) <= 1 << 20
        assert list(store.examine(stored(store))) == []
        with pytest.raises(NotFound):
            list(store.examine(f"00/00/{0:032x}"))

    def test_what_is_set_aside_is_out_of_the_way_and_comes_back(self, store: BlobStore) -> None:
        key, other = stored(store, CONTENT), stored(store, b"other")
        assert list(store.aside()) == []
        store.set_aside(key, "nothing points to it")
        assert list(store.keys()) == [other]
        for ask in (store.open, store.stat):
            with pytest.raises(NotFound):
                ask(key)
        [found] = store.aside()
        assert (found.key, found.reason) == (key, "nothing points to it")
        assert abs(found.at - time.time()) < 60
        store.put_back(key)
        assert list(store.aside()) == []
        with store.open(key) as blob:
            assert blob.read(0, blob.length) == CONTENT

    def test_what_is_not_there_is_neither_set_aside_nor_put_back(self, store: BlobStore) -> None:
        key = stored(store, b"x")
        with pytest.raises(NotFound):
            store.put_back(key)
        store.delete(key)
        with pytest.raises(NotFound):
            store.set_aside(key, "why")
        assert list(store.aside()) == []

    def test_who_is_reading_reads_on_while_it_is_set_aside(self, store: BlobStore) -> None:
        key = stored(store, CONTENT)
        with store.open(key) as blob:
            store.set_aside(key, "why")
            assert blob.read(0, blob.length) == CONTENT
