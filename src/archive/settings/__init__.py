"""Every static setting: its default and one sentence.

The dataclasses here are the only list: `conf/archive.toml`, the names of the environment variables and the check for
unknown keys follow from them (`config` reads all three), so a setting is added in one place; a test then asks for its
line in `conf/archive.toml`.
"""
