"""Databases: one folder per kind."""
