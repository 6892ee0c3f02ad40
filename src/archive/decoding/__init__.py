"""Frames decoded in processes of their own, as a decoder may be led astray by what it reads (reliability: O4).

child     the process that decodes: few rights, bounded memory and time
nursery   the process that such processes are forked from, as one with threads must not fork
turns     how many of those that take long run at a time
wire      how they are talked to
pool      the face: `Decoders`, a `dicom.pixels.decoder.Decoder`
"""
