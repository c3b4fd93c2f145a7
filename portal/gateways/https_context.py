"""Whom HTTPS trusts: public authorities, and those of this machine or of `SSL_CERT_FILE`. TLS 1.2 or newer."""

import ssl
from functools import lru_cache

import certifi


@lru_cache(maxsize=1)
def https_context() -> ssl.SSLContext:
    """Loading the authorities takes some 20 ms."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
