"""The standard as values, tables and byte-level readers. Pure: no files, sockets, database or clock.

Here, for everybody:

    errors  instance  query  identifiers      what the rooms above talk in
    attributes  attribute_ids  attribute_levels  dictionary      TABLES of attributes, their names, levels and VRs
    transfer_syntaxes  sop_classes            TABLES, one row a fact
    charsets  part10  metadata_values         texts; PS3.10 files before their data set; values out of DICOM JSON

and in rooms of their own, each importing only from those to its right (import-linter says so):

    rendering > receiving > writing > reading > pixels          matching stands alone
"""
