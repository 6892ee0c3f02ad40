"""PS3.7 and PS3.8: PDUs, associations in both roles, deadlines. Knows no services and no storage."""
