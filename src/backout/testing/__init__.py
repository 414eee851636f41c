"""Contract suites that ship with backout: an adapter is done when it passes them.

They need nothing but the adapter; use them from pytest or from anything that understands `assert`.
"""
