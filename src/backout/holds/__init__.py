"""Means of holding: what keeps requests and writes away; one file per kind that is not also an adapter."""
