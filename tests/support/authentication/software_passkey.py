"""An authenticator in software, which answers as a real one does, or as a forged one would."""

import hashlib
import json
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from tests.support.web_client import PUBLIC_URL

PRESENT, VERIFIED, WITH_CREDENTIAL = 0x01, 0x04, 0x40


@dataclass
class SoftwarePasskey:
    """`flags`, `origin` and `host` are what its answers claim."""

    credential_id: bytes = b"credential-of-software"
    origin: str = PUBLIC_URL
    host: str = "portal.example.org"
    flags: int = PRESENT | VERIFIED
    sign_count: int = 0
    user_handle: str = ""
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def register(self, options: dict[str, Any]) -> str:
        """The answer to the options of a page that adds a passkey."""
        self.user_handle = options["user"]["id"]
        length = struct.pack(">H", len(self.credential_id))
        credential = bytes(16) + length + self.credential_id + self._public_key()
        data = self._authenticator_data(self.flags | WITH_CREDENTIAL) + credential
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client_data = self._client_data("webauthn.create", options["challenge"])
        return self._answer(clientDataJSON=client_data, attestationObject=attestation)

    def answer(self, options: dict[str, Any]) -> str:
        """The answer to the options of a page that uses a passkey."""
        self.sign_count += 1
        data = self._authenticator_data(self.flags)
        client_data = self._client_data("webauthn.get", options["challenge"])
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        handle = base64url_to_bytes(self.user_handle)
        return self._answer(clientDataJSON=client_data, authenticatorData=data, signature=signature, userHandle=handle)

    def _authenticator_data(self, flags: int) -> bytes:
        return hashlib.sha256(self.host.encode()).digest() + struct.pack(">BI", flags, self.sign_count)

    def _client_data(self, kind: str, challenge: str) -> bytes:
        data = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(data).encode()

    def _public_key(self) -> bytes:
        numbers = self.key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)})

    def _answer(self, **response: bytes) -> str:
        credential_id = bytes_to_base64url(self.credential_id)
        encoded = {name: bytes_to_base64url(value) for name, value in response.items()}
        answer = {"id": credential_id, "rawId": credential_id, "type": "public-key", "response": encoded}
        return json.dumps({**answer, "clientExtensionResults": {}})
