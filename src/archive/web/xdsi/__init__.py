"""The Imaging Document Source of IHE XDS-I.b, as far as others retrieve from it: RAD-69 (RAD TF-3 4.69) in SOAP 1.2.

envelope    the request, read from SOAP: which documents are wanted, in which transfer syntaxes
documents   each document as it will go out, or why it will not
responses   the answer in SOAP: the RegistryResponse, and the documents as parts beside it (MTOM/XOP)
source      the resource itself
"""
