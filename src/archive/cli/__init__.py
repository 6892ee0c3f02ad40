"""The command line. Commands read options, call a service, and word the result for a person.

commands    the tree of commands; errors to exit codes
importing   `archive import`
ae          `archive ae …`
conflicts   `archive conflicts …`
opening     settings from options, the archive from settings
tables      rows for a person or a program

Exit codes: 0 all went well; 1 something was refused or failed; 2 something only the administrator can change.
"""
