"""The tables of the conformance statement, asked of the code. Unlike the suite beside it, this imports the archive."""
