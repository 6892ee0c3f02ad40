"""Frames are decoded in processes that may die of them (reliability.md O4): the same pixels come out, whatever goes
wrong is one frame's affair, and it costs no more than was said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archive.decoding import child, nursery, pool
from archive.decoding.nursery import HELD_BACK
from archive.decoding.pool import MOST, PATIENCE, Decoders
from archive.decoding.turns import Turns
from archive.dicom.errors import CannotRender, OutOfResources
from archive.dicom.pixels import codecs
from archive.dicom.pixels.decoder import HERE
from archive.dicom.pixels.pixel_description import PixelDescription, describe
from archive.settings.keeping import DecodingSettings
from archive_process import await_end, children, name
from bombs import endless_jpeg
from mutate_codestreams import frames
from pixel_oracle import image

FRAMES = frames()
J2K = "jpeg 2000"


def described(codec: str) -> tuple[bytes, PixelDescription, str]:
    """A good frame of this codec."""
    uid, frame, array = FRAMES[codec]
    return bytes(frame), describe(image(array)), uid


def decoder_pids() -> list[int]:
    """The decoders that this process has now, by way of its nursery."""
    nurseries = [pid for pid in children(os.getpid()) if name(pid).strip() == "archive-nursery"]
    return [pid for each in nurseries for pid in children(each)]


@pytest.mark.parametrize("codec", FRAMES)
def test_what_comes_back_is_what_this_process_would_have_decoded(decoders: Decoders, codec: str) -> None:
    frame, description, uid = described(codec)
    ours, theirs = HERE.values(frame, description, uid), decoders.values(frame, description, uid)
    assert theirs.PhotometricInterpretation == ours.PhotometricInterpretation
    assert theirs.values.dtype == ours.values.dtype
    np.testing.assert_array_equal(theirs.values, ours.values)
    assert decoders.native(frame, description, uid) == HERE.native(frame, description, uid)
    assert decoder_pids()


def test_pixels_that_no_codec_has_touched_need_no_process() -> None:
    def never() -> None:
        raise AssertionError("a process was asked for")

    decoders = Decoders(DecodingSettings(), never)  # type: ignore[arg-type]
    array = np.arange(12, dtype="u1").reshape(3, 4)
    for uid in ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.98"):
        assert uid in codecs.PLAIN
        np.testing.assert_array_equal(
            decoders.values(array.tobytes(), describe(image(array)), uid).values, array
        )
    assert set(codecs.DECODERS) - codecs.PLAIN == {uid for uid in codecs.DECODERS if ".4." in uid} | {
        "1.2.840.10008.1.2.5"
    }


def test_a_decoder_is_used_again_until_it_has_read_what_is_no_picture(decoders: Decoders) -> None:
    frame, description, uid = described(J2K)
    before = set(decoder_pids())
    for _ in range(3):
        decoders.values(frame, description, uid)
    (first,) = set(decoder_pids()) - before
    with pytest.raises(CannotRender, match="cannot be decoded"):
        decoders.values(frame[: len(frame) // 2].replace(b"\xff\x52", b"\0\0"), description, uid)
    await_end(first)
    decoders.values(frame, description, uid)


def test_what_had_ended_before_it_was_asked_is_no_reason_to_refuse(decoders: Decoders) -> None:
    frame, description, uid = described(J2K)
    expected = decoders.values(frame, description, uid).values
    for pid in decoder_pids():
        os.kill(pid, signal.SIGKILL)
        await_end(pid)
    np.testing.assert_array_equal(decoders.values(frame, description, uid).values, expected)


def test_who_has_nothing_to_do_goes(decoders: Decoders) -> None:
    """So that no memory is held for nothing."""
    frame, description, uid = described(J2K)
    decoders.values(frame, description, uid)
    assert decoder_pids()
    for pid in decoder_pids():
        await_end(pid, child.IDLE_SECONDS + 5)
    decoders.values(frame, description, uid)


def test_a_bomb_of_time_costs_so_much_and_no_more(making: Callable[..., Decoders]) -> None:
    """O4: a JPEG of a few kilobytes whose thousands of scans each go over all of a large picture."""
    decoders = making(seconds=1)
    bomb, array = endless_jpeg()
    assert len(bomb) < 1 << 20
    begin = time.monotonic()
    with pytest.raises(CannotRender, match="longer than 1 s"):
        decoders.values(bomb, describe(image(array)), "1.2.840.10008.1.2.4.50")
    assert time.monotonic() - begin < PATIENCE + 2
    frame, description, uid = described("jpeg")
    decoders.values(frame, description, uid)


def test_who_takes_long_gives_way_to_everybody(making: Callable[..., Decoders]) -> None:
    """O4: however many such frames are asked for, those who store keep the processors."""
    decoders = making(seconds=20)
    bomb, array = endless_jpeg()
    before = set(decoder_pids())
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(decoders.values, bomb, describe(image(array)), "1.2.840.10008.1.2.4.50")
        try:
            (pid,) = _awaited(lambda: set(decoder_pids()) - before)
            assert os.getpriority(os.PRIO_PROCESS, pid) < HELD_BACK
            assert _awaited(lambda: os.getpriority(os.PRIO_PROCESS, pid) == HELD_BACK)
        finally:
            for each in set(decoder_pids()) - before:
                os.kill(each, signal.SIGKILL)
        assert isinstance(asked.exception(), CannotRender)


def test_what_takes_long_takes_turns(making: Callable[..., Decoders]) -> None:
    """O4: however many such frames are asked for, a processor is left to those who store. Who waits for longer than
    such a frame may take is told to come again."""
    decoders = making(turns=Turns(1), seconds=2)
    bomb, array = endless_jpeg()
    before = set(decoder_pids())

    def ask(_: int) -> None:
        decoders.values(bomb, describe(image(array)), "1.2.840.10008.1.2.4.50")

    with ThreadPoolExecutor(3) as threads:
        asked = [threads.submit(ask, number) for number in range(3)]
        new = _awaited(lambda: len(set(decoder_pids()) - before) == 3 and set(decoder_pids()) - before)
        assert _awaited(lambda: sum(_is_paused(pid) for pid in new) == 2)
        (first,) = (pid for pid in new if not _is_paused(pid))
        os.kill(first, signal.SIGKILL)
        assert _awaited(lambda: sum(_is_paused(pid) for pid in new - {first}) == 1)
        (second,) = (pid for pid in new - {first} if not _is_paused(pid))
        assert all(isinstance(one.exception(), CannotRender) for one in asked)
    assert second not in decoder_pids()


def test_who_waits_too_long_for_a_turn_is_told_to_come_again(making: Callable[..., Decoders]) -> None:
    turns = Turns(1)
    decoders = making(turns=turns, seconds=1)
    bomb, array = endless_jpeg()
    place = turns.take()
    assert place is not None
    with pytest.raises(OutOfResources, match="ask again later"):
        decoders.values(bomb, describe(image(array)), "1.2.840.10008.1.2.4.50")
    turns.give_back(place)
    frame, description, uid = described(J2K)
    decoders.values(frame, description, uid)


def _is_paused(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def test_who_has_given_way_is_not_used_again(decoders: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not have its place among the others back."""
    frame, description, uid = described(J2K)
    expected = decoders.values(frame, description, uid).values
    monkeypatch.setattr(pool, "QUICK", 0.0)
    (pid,) = decoder_pids()
    np.testing.assert_array_equal(decoders.values(frame, description, uid).values, expected)
    await_end(pid)


def _awaited(found: Callable[[], object]) -> Any:
    begin = time.monotonic()
    while not (value := found()):
        assert time.monotonic() - begin < 30
        time.sleep(0.01)
    return value


def test_who_hangs_is_ended(making: Callable[..., Decoders]) -> None:
    """O4."""
    decoders = making(seconds=1)
    frame, description, uid = described(J2K)
    decoders.values(frame, description, uid)
    (pid,) = decoder_pids()
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(CannotRender, match="longer than 1 s"):
        decoders.values(frame, description, uid)
    await_end(pid)
    decoders.values(frame, description, uid)


def test_a_frame_that_takes_more_memory_than_is_allowed(making: Callable[..., Decoders]) -> None:
    """O4. One that fits is decoded as before."""
    import imagecodecs

    large = np.zeros((3000, 3000), "u2")
    codestream = bytes(imagecodecs.jpeg2k_encode(large, reversible=True, codecformat="j2k"))
    description, uid = describe(image(large)), FRAMES[J2K][0]
    decoders = making(memory_bytes=16 << 20)
    with pytest.raises(CannotRender):
        decoders.values(codestream, description, uid)
    assert decoders.values(*described(J2K)).values.shape == (40, 56)
    assert making().values(codestream, description, uid).values.shape == (3000, 3000)


def test_a_decoder_has_few_rights(decoders: Decoders) -> None:
    """O4: what has been led astray can open, start and write nothing."""
    frame, description, uid = described(J2K)
    decoders.values(frame, description, uid)
    (pid,) = decoder_pids()
    process = Path(f"/proc/{pid}")
    opened = {os.readlink(each).partition(":")[0] for each in (process / "fd").iterdir()}
    assert opened == {"/dev/null", "socket"}
    assert "NoNewPrivs:\t1" in (process / "status").read_text()
    limits = {
        line[:25].strip(): line[25:].split()[:2] for line in (process / "limits").read_text().splitlines()[1:]
    }
    files = str(len(list((process / "fd").iterdir())))
    assert limits["Max open files"] == [files, files]
    for what in ("Max core file size", "Max file size", "Max processes"):
        assert limits[what] == ["0", "0"], what
    assert limits["Max address space"][0].isdigit()
    assert limits["Max cpu time"][0].isdigit()


def test_many_threads_at_once(decoders: Decoders) -> None:
    """More than there are decoders: each gets the answer to its own frame."""
    asked = [codec for codec in FRAMES for _ in range(6)]
    with ThreadPoolExecutor(4 * MOST) as pool:
        found = list(pool.map(lambda codec: decoders.values(*described(codec)).values, asked))
    assert len(decoder_pids()) <= MOST
    for codec, values in zip(asked, found, strict=True):
        np.testing.assert_array_equal(values, HERE.values(*described(codec)).values)


def test_a_nursery_that_died_is_replaced(decoders: Decoders) -> None:
    decoders.values(*described(J2K))
    (before,) = [pid for pid in children(os.getpid()) if name(pid).strip() == "archive-nursery"]
    theirs = decoder_pids()
    os.kill(before, signal.SIGKILL)
    for pid in (before, *theirs):
        await_end(pid)
    decoders.values(*described(J2K))
    assert before not in children(os.getpid())
    (pid,) = decoder_pids()
    assert os.getsid(pid) == os.getsid(0), "in a session of its own it would give way to nobody (sched(7))"
    assert os.getpgid(pid) != os.getpgid(0), "the terminal's Ctrl-C would reach it"


def test_without_a_process_to_be_had_it_is_for_later(decoders: Decoders) -> None:
    def nothing() -> None:
        raise OutOfResources("no process can be started to decode a frame")

    with pytest.raises(OutOfResources):
        Decoders(DecodingSettings(), nothing).values(*described(J2K))  # type: ignore[arg-type]


def test_a_process_that_was_forked_has_decoders_of_its_own(decoders: Decoders) -> None:
    """Two processes on one socket would get each other's frames."""
    frame, description, uid = described(J2K)
    expected = decoders.values(frame, description, uid).values
    before = decoder_pids()
    pid = os.fork()
    if not pid:
        try:
            found = decoders.values(frame, description, uid).values
            os._exit(0 if np.array_equal(found, expected) and not set(decoder_pids()) & set(before) else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    np.testing.assert_array_equal(decoders.values(frame, description, uid).values, expected)


WITH_A_FORKED_NURSERY = """
import sys
from archive.decoding import nursery
nursery.OF_THIS_PROCESS.fork()
from archive.decoding.pool import Decoders
from archive.settings.keeping import DecodingSettings
from test_decoders import J2K, decoder_pids, described
from archive.settings.keeping import DecodingSettings
from archive_process import children
import os
decoders = Decoders(DecodingSettings(), nursery.OF_THIS_PROCESS.child)
decoders.values(*described(J2K))
print(*children(os.getpid()), *decoder_pids(), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_none_outlives_the_process_that_it_decodes_for(end: int) -> None:
    here = Path(__file__).parent
    folders = [str(folder) for folder in (here, here.parent, here.parent / "dicom")]
    with subprocess.Popen(
        [sys.executable, "-c", WITH_A_FORKED_NURSERY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
    ) as process:
        assert process.stdout is not None
        of_it = [int(pid) for pid in process.stdout.readline().split()]
        assert len(of_it) == 2
        process.send_signal(end)
        for pid in of_it:
            await_end(pid, 5)
        process.wait(10)


def test_closing_ends_the_nursery() -> None:
    kept = nursery.Kept()
    connection = kept.child().connection
    theirs = [pid for pid in children(os.getpid()) if name(pid).strip() == "archive-nursery"]
    kept.close()
    kept.close()
    assert connection.recv(1) == b""
    connection.close()
    assert len(set(theirs) - set(children(os.getpid()))) == 1
