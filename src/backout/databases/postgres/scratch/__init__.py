"""Databases to try things on, where nothing else is harmed: on a server of our own, or on one that was named for it."""
