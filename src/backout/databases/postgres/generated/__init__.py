"""Rows made by backout, for scratch databases: filling every table, writing as code does, and telling what a way back lost."""
