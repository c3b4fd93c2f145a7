"""PgBouncer in front of the tests' PostgreSQL."""

import contextlib
import datetime
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bin.programs import find_program
from tests.support import servers

PASSWORD = "s3cret-word"


def pgbouncer(
    server: str, name: str, pool_mode: str = "session", **pgbouncer_settings: str
) -> contextlib.AbstractContextManager[str]:
    """URL of database `name` through a pooler that requires a password."""
    return _running(server, name, (_KEY, _CERTIFICATE), {"pool_mode": pool_mode, **pgbouncer_settings})


def tls_pgbouncer(server: str, name: str, identity: tuple[bytes, bytes]) -> contextlib.AbstractContextManager[str]:
    """The same, with a key and certificate of its own: it requires TLS."""
    return _running(server, name, identity, {**TLS_SETTINGS, "client_tls_sslmode": "require"})


@contextlib.contextmanager
def _running(
    server: str, name: str, identity: tuple[bytes, bytes], pgbouncer_settings: dict[str, str]
) -> Iterator[str]:
    """PgBouncer runs as the user who owns the server's socket."""
    program = find_program("pgbouncer")
    if program is None:
        pytest.skip("PgBouncer is not installed")
    sockets = Path(server.rpartition("host=")[2])
    folder, port = Path(tempfile.mkdtemp(prefix="portal-pgb-")), servers.free_port()
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "plain",
        "auth_file": str(folder / "users"),
        "pool_mode": "session",
        "default_pool_size": "30",
        "ignore_startup_parameters": "extra_float_digits",
    } | pgbouncer_settings
    (folder / "users").write_text(f'"postgres" "{PASSWORD}"\n')
    lines = ["[databases]", f"{name} = host={sockets}", "[pgbouncer]"]
    lines += [f"{setting} = {value}" for setting, value in settings.items()]
    (folder / "pgbouncer.ini").write_text("\n".join(lines))
    key, certificate = identity
    (folder / "server.key").write_bytes(key)
    (folder / "server.crt").write_bytes(certificate)
    options: dict[str, Any] = {"stderr": subprocess.DEVNULL}
    if os.geteuid() == 0:
        owner = sockets.stat().st_uid
        options |= {"user": owner}
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, owner)
    try:
        with servers.running_process([program, "-q", "pgbouncer.ini"], folder=folder, **options):
            servers.wait_for(lambda: _is_listening(port), "PgBouncer to listen")
            yield f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/{name}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


TLS_SETTINGS = {
    "client_tls_sslmode": "allow",
    "client_tls_key_file": "server.key",
    "client_tls_cert_file": "server.crt",
}
"""PgBouncer settings that offer TLS."""


def _is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _self_signed() -> tuple[bytes, bytes]:
    """A private key and a certificate, in PEM, for a name that is not the server's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "elsewhere.example")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
    signed = builder.not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, signed.public_bytes(pem)


_KEY, _CERTIFICATE = _self_signed()
