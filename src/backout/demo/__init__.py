"""The stage of `backout demo` and of the tests: service, front port, clients, and a database of their own."""
