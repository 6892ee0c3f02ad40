"""What the archive does, decided once for all doors. Services raise and do not catch, and are synchronous."""
