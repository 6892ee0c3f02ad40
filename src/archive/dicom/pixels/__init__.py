"""Frames: where they lie in an object, what the data set says of them, and the TABLE of decoders.

frames  pixel_description  codestreams  codecs  native  lookup_tables
"""
