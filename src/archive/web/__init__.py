"""The HTTP door, the only asynchronous room: reads a request, calls a service, words the answer.

routes  app          TABLE of every resource, and the application made of it
http/                HTTP itself: connections, negotiation, ranges, codings; TABLE error -> status
description/         what a client may know of each transaction: WADL, OpenAPI, JSON
qido  qido_parameters  qido_keys          search
stow  stow_parts  store_response          store
wado  metadata  frames  bulk_data         retrieve; pixel_forms and targets serve them
rendered  renditions  rendering_parameters     pictures and text for people
wado_uri  zip_download  zip_stream        the other ways to retrieve
xdsi/                IHE XDS-I.b: documents for other sites, RAD-69 in SOAP
deleting  commitment  status              DELETE, storage commitment, health
"""
