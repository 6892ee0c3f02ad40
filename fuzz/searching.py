"""A search of one target: seeds in, a process of atheris, what it found out.

Every find is kept under its digest below `finds`, from where the tests replay it until it is mended, and after.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fuzz import seeds
from fuzz.table import Target

ROOT = Path(__file__).resolve().parents[1]
FINDS = ROOT / "tests" / "fuzz" / "regressions"
_SLOWEST = 20
"""Seconds that an input may take. It is thousands of times what one takes."""
_START = 120
"""Seconds until the search has begun."""
_SPARE_MB = 512
_STATUS = re.compile(rb"^#(\d+)\s+\w+\s+cov: (\d+)")
_KEPT_LINES = 60


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search came to: how many inputs were tried, how many branches they reached; each find is a file. `said` is
    the end of what the process said, where it did not end well."""

    inputs: int
    branches: int
    finds: tuple[Path, ...] = ()
    said: str = ""


@dataclass(slots=True)
class _Watched:
    """What the process has said so far."""

    inputs: int = 0
    branches: int = 0
    lines: list[bytes] | None = None

    def hear(self, line: bytes) -> None:
        status = _STATUS.match(line)
        if status:
            self.inputs, self.branches = int(status[1]), int(status[2])
        elif not line.startswith(b"INFO: "):
            self.lines = [*(self.lines or [])[-_KEPT_LINES:], line]


def is_possible() -> bool:
    """Whether atheris is installed; it has no wheel for every machine."""
    return importlib.util.find_spec("atheris") is not None


def search(
    target: Target,
    seconds: int,
    *,
    corpus: Path | None = None,
    finds: Path = FINDS,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _inputs, _branches: None,
) -> Searched:
    """Search for so many seconds, or until something is found. `corpus` is where inputs that reach something new are
    kept from one search to the next; `seed` 0: another search each time. `progress` hears inputs and branches."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        scratch = Path(folder)
        command = [*_command(target, seconds, seed, scratch), str(corpus or _made(scratch / "corpus"))]
        _plant(target, _made(scratch / "seeds"))
        watched = _Watched()
        code = _watch([*command, str(scratch / "seeds")], seconds, watched, progress)
        kept = tuple(_keep(path, finds / target.name) for path in sorted(_made(scratch / "finds").iterdir()))
    said = b"".join(watched.lines or []).decode(errors="replace") if code or kept else ""
    return Searched(watched.inputs, watched.branches, kept, said)


def _command(target: Target, seconds: int, seed: int, scratch: Path) -> list[str]:
    words = scratch / "words"
    words.write_text(seeds.dictionary())
    return [
        *(sys.executable, "-m", "fuzz.libfuzzer", target.name),
        f"-max_total_time={seconds}",
        f"-max_len={target.longest}",
        f"-rss_limit_mb={max(target.memory_mb, _inherited_mb() + _SPARE_MB)}",
        f"-timeout={_SLOWEST}",
        f"-seed={seed}",
        f"-dict={words}",
        f"-artifact_prefix={_made(scratch / 'finds')}/",
    ]


def _inherited_mb() -> int:
    """The most memory that this process ever had. The kernel counts it for what is started from here as well
    (getrusage(2) is kept across execve), and libFuzzer goes by that."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _plant(target: Target, folder: Path) -> None:
    for number, seed in enumerate(target.seeds()):
        (folder / f"{number:03}").write_bytes(seed)
    for number, path in enumerate(sorted((FINDS / target.name).glob("*"))):
        (folder / f"find-{number:03}").write_bytes(path.read_bytes())


def _watch(command: list[str], seconds: int, watched: _Watched, progress: Callable[[int, int], None]) -> int:
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = threading.Timer(_START + seconds + _SLOWEST, process.kill)
    deadline.start()
    try:
        assert process.stdout is not None
        with process.stdout as said:
            for line in said:
                watched.hear(line)
                progress(watched.inputs, watched.branches)
        return process.wait()
    finally:
        deadline.cancel()
        process.kill()
        process.wait()


def _keep(path: Path, folder: Path) -> Path:
    data = path.read_bytes()
    kept = _made(folder) / f"{hashlib.sha256(data).hexdigest()[:16]}.bin"
    kept.write_bytes(data)
    return kept


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
