"""`python -m archive.cli` is `archive`."""

from archive.cli.commands import main

main()
