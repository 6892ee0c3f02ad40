"""How much of everything a run takes: enough to measure, or just enough to see that it runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Counts for one measurement, unless they say otherwise."""

    rounds: int = 5
    mr: int = 500
    """MR slices for each association."""
    ct: int = 150
    stock: int = 200
    """MR slices by a storescu as it comes, which takes the peer 50 to 90 ms for each."""
    stow_objects: int = 20
    """In one request."""
    stow_mr: int = 25
    """Requests."""
    stow_ct: int = 8
    stow_single: int = 100
    slices: int = 100
    """In the series that is retrieved."""
    metadata: int = 150
    """Requests; frames and rendered: for each connection."""
    frames: int = 250
    rendered: int = 80
    retrievals: int = 5
    """Of a whole study."""
    questions: int = 8
    """For each query and round."""
    studies: int = 50_000
    million: int = 1_000_000
    million_questions: int = 40
    large_frames: int = 4006
    """Of 512 KB: 2.1 GB."""
    large_rounds: int = 3
    mixed_seconds: float = 600.0


FULL = Scale()
QUICK = Scale(
    rounds=1,
    mr=6,
    ct=3,
    stock=3,
    stow_objects=2,
    stow_mr=2,
    stow_ct=1,
    stow_single=3,
    slices=4,
    metadata=3,
    frames=4,
    rendered=2,
    retrievals=1,
    questions=2,
    studies=300,
    million=600,
    million_questions=3,
    large_frames=24,
    large_rounds=1,
    mixed_seconds=6.0,
)
