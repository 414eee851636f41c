"""The proof before a deploy: a migration there, written, back and there again on scratch databases, and compared each time."""
