"""The HL7 door: orders in HL7 v2 over MLLP fill the modality worklist (ORM^O01, OMI^O23).

framing      messages out of the bytes of a connection, and back (MLLP)
charsets     names of character sets (HL7 table 0211), and texts by them
message      a message parsed, its fields by number
names        names and codes of HL7 as those of DICOM
orders       TABLE field -> attribute: what an order says of the worklist
answering    one message: understood, applied, acknowledged; TABLE error -> acknowledgment
acknowledging  the answer in the words of HL7
server       connections: who may, how many, how long
"""
