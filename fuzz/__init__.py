"""Fuzzing: what strangers send, bent in every way, against what must hold whatever they send.

`python -m fuzz` (or `make fuzz`) runs the targets of `table` one after the other under atheris, and keeps each find as
a file in `tests/fuzz/regressions`, from where every test run replays it. It is not part of what is installed.
"""
