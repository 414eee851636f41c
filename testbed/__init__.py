"""A real Kubernetes node for the tests: see README.md beside this file."""
