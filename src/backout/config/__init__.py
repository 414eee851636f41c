"""Configuration: the file, its documentation, its schema."""
