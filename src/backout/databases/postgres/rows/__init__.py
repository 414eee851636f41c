"""The rows of two databases of one server: compared by key and digest, and brought over."""
