"""Objects and requests that come as DICOM JSON or XML instead of encoded: read and put together.

Start at `received`.

json_reader, xml_reader, received, received_values    metadata
received_pixels, codestream_kinds, pictures, videos   the bulk data beside it
assembly     both together as an encoded data set
commitment   what a storage commitment request asks for
"""
