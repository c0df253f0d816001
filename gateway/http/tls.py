"""TLS towards partners: what we show them, whom we trust, and what nothing of the environment may change.

OpenSSL's and Python's own variables (`SSL_CERT_FILE`, `SSLKEYLOGFILE`) and proxies are not looked at.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from gateway.errors import Misconfigured
from gateway.settings.transport import ClientTls


def partner_context(tls: ClientTls | None, directory: Path) -> ssl.SSLContext:
    """For calls to one partner; file names are relative to `directory`. Reads files, so blocks.

    Without an authority of its own the machine's are trusted. Raises `Misconfigured`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the certificate and the name in it
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A verdict on our certificate can then only come before the partner has read a request (`errors`).
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        if tls is not None and tls.ca is not None:
            context.load_verify_locations(directory / tls.ca)
        else:
            _trust_the_machines(context)
        if tls is not None and tls.certificate is not None and tls.key is not None:
            context.load_cert_chain(directory / tls.certificate, directory / tls.key)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(["destinations.yaml:1:1: a destination's TLS files cannot be used"]) from error
    return context


def _trust_the_machines(context: ssl.SSLContext) -> None:
    """Those that OpenSSL was built to trust here, whatever the environment says."""
    paths = ssl.get_default_verify_paths()
    if Path(paths.openssl_cafile).is_file():
        context.load_verify_locations(cafile=paths.openssl_cafile)
    if Path(paths.openssl_capath).is_dir():
        context.load_verify_locations(capath=paths.openssl_capath)
