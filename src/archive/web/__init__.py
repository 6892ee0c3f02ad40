"""The HTTP door, the only asynchronous room: reads a request, calls a service, words the answer.

routes                        TABLE of every resource; app, server and protocol carry it
endpoint  crossing  bodies    from asynchronous to synchronous and back, in one place
exchange  errors              a request, an answer, TABLE error -> status
stow  qido  wado  metadata    DICOMweb, one file for each transaction; the others serve them
frames  rendered              rendering_parameters are read for it, renditions are its parts
stow_parts  multipart         what a store request is made of; store_response is its answer
status  metrics               health and numbers
"""
