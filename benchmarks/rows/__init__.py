"""The rows of the table: what is measured, and what it must come to."""
