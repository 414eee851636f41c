"""People's own means of restoring."""
