"""Platforms: one file or folder per kind; `ls` is the support list."""
