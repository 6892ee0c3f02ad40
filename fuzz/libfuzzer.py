"""Run as a program, `python -m fuzz.libfuzzer TARGET [OPTION…] FOLDER…`: one target under atheris.

A process of its own, as libFuzzer ends the one that it runs in, and a decoder may. What is to be watched has to be
imported here first: it is rewritten on its way in.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fuzz.table import PLANTED, TABLE


def main(arguments: Sequence[str]) -> None:
    """Search until an option says to stop, or something is found."""
    import atheris

    target = (TABLE | {PLANTED.name: PLANTED})[arguments[0]]
    with atheris.instrument_imports(include=list(target.watched)):
        run = target.runner()
    atheris.Setup(list(arguments), run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
