"""A certificate authority of a test, and the certificates that it signs."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_PEM = serialization.Encoding.PEM


class TestAuthority:
    """`ca_file` is what clients trust."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        self._key, self._name = ec.generate_private_key(ec.SECP256R1()), _common_name("Authority of the test")
        self.ca_file = folder / "authority.pem"
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        self.ca_file.write_bytes(self._sign(self._key, self._name, constraints).public_bytes(_PEM))

    def issue(self, *hosts: str) -> tuple[bytes, bytes]:
        """A private key and its certificate for the hosts, in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(key, _common_name(hosts[0]), x509.SubjectAlternativeName([*map(_host_name, hosts)]))
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return private, certificate.public_bytes(_PEM)

    def _sign(
        self, key: ec.EllipticCurvePrivateKey, subject: x509.Name, extension: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).add_extension(extension, critical=False)
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        return builder.sign(self._key, hashes.SHA256())


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
