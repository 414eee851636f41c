"""Routers: what stands between clients and releases; one file or folder per kind."""
