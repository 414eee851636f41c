"""Whom clients of HTTPS trust."""

from __future__ import annotations

import functools
import ssl


@functools.cache
def authorities(*, environment: bool = True) -> ssl.SSLContext:
    """Return the authorities of this machine, as httpx2 reads them by itself for each client; here once for the process.

    To read them takes 40 ms of processor time, also where only http is spoken then.

    Args:
        environment: SSL_CERT_FILE and SSL_CERT_DIR name others.
    """
    import httpx2

    return httpx2.create_ssl_context(trust_env=environment)
