"""Encoded data sets on their way out. `recoding` brings any object into Explicit VR Little Endian, as a stream.

encoder    elements of the DICOM JSON Model as bytes
recoding, recoded, byte_order, icons    an object in another transfer syntax
coercion   attributes replaced while an object passes by
dicomdir, directory_records    the directory of a file-set
"""
