"""The targets: TABLE name -> what is fuzzed, which modules are watched for new paths, how long its inputs are."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

Run = Callable[[bytes], None]

_READING = ("archive.dicom.reading", "archive.dicom.charsets", "archive.dicom.pixels.frames")
_RECEIVING = ("archive.dicom.receiving", "archive.dicom.writing.encoder", *_READING)


@dataclass(frozen=True, slots=True)
class Target:
    """`module` has `run`, which takes an input and raises what must not happen, and `seeds`, from which inputs are
    made. `watched`: the packages whose branches guide the search. `longest` input, in bytes."""

    name: str
    module: str
    run: str
    watched: tuple[str, ...]
    longest: int
    about: str
    memory_mb: int = 2048
    is_brief: bool = True
    """Whether `make test` searches it: not what takes longer to begin than to find anything, of which the tests of the
    doors have property tests of their own."""

    def runner(self) -> Run:
        """The function that takes an input."""
        found: Run = getattr(importlib.import_module(self.module), self.run)
        return found

    def seeds(self) -> list[bytes]:
        """Synthetic inputs that are well formed."""
        made: list[bytes] = getattr(importlib.import_module(self.module), f"{self.run}_seeds")()
        return made


TARGETS = (
    Target(
        "caller",
        "fuzz.targets.associations",
        "caller",
        ("archive.network",),
        16384,
        "what a caller sends: A-ASSOCIATE-RQ, and whatever comes after it",
    ),
    Target(
        "called",
        "fuzz.targets.associations",
        "called",
        ("archive.network",),
        8192,
        "what a peer that we call answers",
    ),
    Target(
        "command",
        "fuzz.targets.associations",
        "command",
        ("archive.network.commands",),
        2048,
        "command sets: decoded, encoded, decoded again",
    ),
    Target(
        "dimse",
        "fuzz.targets.doors",
        "dimse",
        ("archive.dimse", "archive.dicom.reading", "archive.dicom.worklist", "archive.dicom.workitems"),
        8192,
        "DIMSE messages of every service, with an archive behind the door",
        is_brief=False,
    ),
    Target(
        "stow",
        "fuzz.targets.doors",
        "stow",
        ("archive.web.stow", "archive.web.stow_parts", "archive.web.http.multipart", *_RECEIVING),
        8192,
        "bodies of store requests, with an archive behind the door",
        is_brief=False,
    ),
    Target(
        "data_set",
        "fuzz.targets.data_sets",
        "data_set",
        _READING,
        8192,
        "encoded data sets, whole and in pieces, in every kind of transfer syntax",
    ),
    Target(
        "oracle",
        "fuzz.targets.oracles",
        "oracle",
        _READING,
        8192,
        "the same beside pydicom: who it is of, and where its pixels are",
    ),
    Target(
        "rewritten",
        "fuzz.targets.rewritten",
        "rewritten",
        ("archive.dicom.writing", *_READING),
        8192,
        "what we make of an object: coerced, re-encoded; each is an object again, and the same one",
    ),
    Target(
        "part10",
        "fuzz.targets.data_sets",
        "part10",
        ("archive.dicom.part10", *_READING),
        8192,
        "PS3.10 files, whole and in pieces",
    ),
    Target(
        "multipart",
        "fuzz.targets.bodies",
        "multipart",
        ("archive.web.http.multipart",),
        8192,
        "multipart bodies, cut anywhere; put together again, they are the same parts",
    ),
    Target(
        "json",
        "fuzz.targets.bodies",
        "json",
        _RECEIVING,
        8192,
        "DICOM JSON: refused in our words, or an object whose JSON says the same",
    ),
    Target(
        "xml",
        "fuzz.targets.bodies",
        "xml",
        _RECEIVING,
        8192,
        "the Native DICOM Model, likewise",
    ),
    Target(
        "identifier",
        "fuzz.targets.questions",
        "identifier",
        ("archive.dimse", "archive.dicom.matching", "archive.index"),
        4096,
        "Identifiers of C-FIND, down to the index",
        is_brief=False,
    ),
    Target(
        "search",
        "fuzz.targets.questions",
        "search",
        ("archive.web.qido_parameters", "archive.web.qido_keys", "archive.dicom.matching", "archive.index"),
        2048,
        "query strings of QIDO-RS, down to the index",
        is_brief=False,
    ),
    Target(
        "headers",
        "fuzz.targets.questions",
        "headers",
        ("archive.web.http",),
        2048,
        "Accept, Range and conditional headers",
        is_brief=False,
    ),
    Target(
        "codecs",
        "fuzz.targets.pictures",
        "codecs",
        ("archive.dicom.pixels", "archive.dicom.rendering"),
        4096,
        "frames for every decoder; the run is the child process that may die",
        memory_mb=4096,
    ),
    Target(
        "pictures",
        "fuzz.targets.pictures",
        "pictures",
        ("archive.dicom.pixels", "archive.dicom.receiving"),
        4096,
        "pictures and videos of a store request, recognised by their bytes",
        memory_mb=4096,
    ),
    Target(
        "hl7",
        "fuzz.targets.messages",
        "hl7",
        ("archive.hl7",),
        4096,
        "HL7 v2 over MLLP: frames, messages, orders and news of patients",
        is_brief=False,
    ),
)
TABLE = {target.name: target for target in TARGETS}

PLANTED = Target(
    "planted",
    "fuzz.targets.planted",
    "planted",
    ("fuzz.targets.planted",),
    64,
    "a fault that a search has to find",
)
"""Is none of them: it shows that searches find anything."""
