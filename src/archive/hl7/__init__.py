"""The HL7 door: HL7 v2 over MLLP. Orders (ORM^O01, OMI^O23) fill the modality worklist; what is said of patients (ADT)
corrects it and the archive.

framing      messages out of the bytes of a connection, and back (MLLP)
charsets     names of character sets (HL7 table 0211), and texts by them
message      a message parsed, its fields by number
names        names and codes of HL7 as those of DICOM
identifiers  which of a patient's identifiers are those of the site
orders       TABLE field -> attribute: what an order says of the worklist
patients     TABLE trigger event -> action: what a message says of patients
answering    one message: understood, applied, acknowledged; TABLE error -> acknowledgment
acknowledging  the answer in the words of HL7
server       connections, plain or over TLS: who may, how many, how long
"""
