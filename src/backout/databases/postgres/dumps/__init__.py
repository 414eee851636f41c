"""Backups as PostgreSQL's own programs write them."""
