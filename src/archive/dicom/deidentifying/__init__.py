"""Data sets that say nothing of whose they are (PS3.15 Annex E)."""
