"""The standard as values, tables and byte-level readers. Pure: no files, sockets, database or clock.

errors  instance  query           what the rooms above talk in
attributes  transfer_syntaxes     the tables, one row a fact
sop_classes  dictionary
part10                            PS3.10 files: what stands before the data set
reader                            one pass over an encoded data set, in pieces:
  structure  elements  inflate      its structure (PS3.5 chapter 7), every length checked
  listener  metadata                what the index is told of it
  metadata_text  json_model         its DICOM JSON Model (PS3.18 annex F)
  charsets  frames                  its texts, and where its frames lie
encoder  xml_model                JSON Model to bytes for C-FIND, to XML for DICOMweb
received                          metadata as clients send them, put together with bulk data to an encoded data set:
  json_reader  xml_reader  received_values  assembly
  received_pixels  codestream_kinds  pictures  videos
coercion                          attributes replaced while a data set passes by
attribute_ids  key_matching       names of attributes and kinds of matching, as requests spell them
pixel_data                        frames to arrays and pictures; its own docstring has the map
rendition                         TABLE category -> media types; reports, documents and symbols of what is no picture:
  structured_report  report_text  encapsulated  pictogram
"""
