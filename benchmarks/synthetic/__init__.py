"""Synthetic objects, each made from a number: the same bytes in every run and for every server."""
