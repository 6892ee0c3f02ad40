"""A black-box conformance suite for DICOMweb servers, written from PS3.18.

`python -m conformance --dicomweb URL` asks a server what the standard says it has to answer, with objects that the
suite makes itself, and says for every line of the standard it knows whether the answer was right. It imports nothing
of any server, so authors of every server can use it. `generate.py` beside it belongs to the archive's own statement
and takes no part in the suite.
"""
