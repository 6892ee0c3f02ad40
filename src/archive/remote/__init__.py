"""What we say to other application entities as SCU: C-ECHO and C-STORE."""
