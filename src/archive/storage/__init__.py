"""Bytes under keys. `base` is the port and its promises, `local` keeps them in files."""
