"""A PostgreSQL of our own: found, made in a folder, started and ended with whoever asked for it."""
