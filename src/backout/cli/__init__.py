"""The command line: one file per verb; it calls only `Backout`."""
