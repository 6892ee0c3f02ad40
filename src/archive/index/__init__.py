"""The metadata index: rows of patients, studies, series and instances. SQL is only here.

schema  migrations  migrate   the tables, made from dicom/attributes
database  sql                 SQLite and PostgreSQL behind one face; durable commits in groups
recording  filling           recording an object
instances  rows  terms        finding what is to be retrieved
matching  conditions  answers a Query as SQL, and its answers
conflicts  ae_titles  outbox  what else the archive remembers
"""
