import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.settings.rules.encryption import DecryptionError, decrypt_secret, encrypt_secret, key_id

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
NONCE = bytes(range(12))
NAME = "SmsGatewayAuthentication"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.binary(min_size=12, max_size=12))
def test_encrypted_secret_can_be_decrypted(text: str, nonce: bytes) -> None:
    token = encrypt_secret(text, NAME, NEW, nonce)
    assert decrypt_secret(token, NAME, (NEW,)) == text
    assert token.startswith(f"v1.{key_id(NEW)}.")
    assert len(text) < 4 or text not in token


def test_same_text_encrypts_differently_each_time() -> None:
    assert encrypt_secret("a", NAME, NEW, NONCE) != encrypt_secret("a", NAME, NEW, b"y" * 12)


def test_old_keys_still_decrypt() -> None:
    assert decrypt_secret(encrypt_secret("token", NAME, OLD, NONCE), NAME, (NEW, OLD)) == "token"


def test_missing_key_error_names_setting_and_variable() -> None:
    with pytest.raises(
        DecryptionError, match=rf"^{NAME} was encrypted with a key that is not in PORTAL_ENCRYPTION_KEY\.$"
    ):
        decrypt_secret(encrypt_secret("token", NAME, OTHER, NONCE), NAME, (NEW, OLD))


def test_value_of_another_setting_cannot_be_decrypted() -> None:
    with pytest.raises(DecryptionError, match=r"^TestSmsGatewayAuthentication cannot be decrypted"):
        decrypt_secret(encrypt_secret("token", NAME, NEW, NONCE), "TestSmsGatewayAuthentication", (NEW,))


def test_decryption_error_does_not_contain_the_secret() -> None:
    with pytest.raises(DecryptionError) as raised:
        decrypt_secret(encrypt_secret("the-token", NAME, NEW, NONCE), "Other", (NEW,))
    assert "the-token" not in str(raised.value)


@given(st.integers(0, 12 + 5 + 16 - 1), st.integers(1, 255))
def test_any_changed_byte_is_detected(index: int, change: int) -> None:
    head, _, payload = encrypt_secret("token", NAME, NEW, NONCE).rpartition(".")
    raw = bytearray(base64.b64decode(payload))
    raw[index] ^= change
    with pytest.raises(DecryptionError, match="the stored value was changed"):
        decrypt_secret(f"{head}.{base64.b64encode(raw).decode()}", NAME, (NEW,))


@pytest.mark.parametrize("length", [12, 13, 20, 27])
def test_truncated_value_is_rejected(length: int) -> None:
    head, _, payload = encrypt_secret("token", NAME, NEW, NONCE).rpartition(".")
    cut = base64.b64encode(base64.b64decode(payload)[:length]).decode()
    with pytest.raises(DecryptionError):
        decrypt_secret(f"{head}.{cut}", NAME, (NEW,))


@pytest.mark.parametrize("payload", ["", "token", "v1", "v1.KEY", "v1.KEY.", "v1.KEY.YQ==", "v1.KEY.YQ", "v1.KEY.!!!"])
def test_malformed_value_is_rejected(payload: str) -> None:
    with pytest.raises(DecryptionError):
        decrypt_secret(payload.replace("KEY", key_id(NEW)), NAME, (NEW,))


def test_unknown_version_is_rejected() -> None:
    with pytest.raises(DecryptionError):
        decrypt_secret(encrypt_secret("token", NAME, NEW, NONCE).replace("v1.", "v2.", 1), NAME, (NEW,))


@pytest.mark.parametrize("nonce", [b"", b"short", b"x" * 13])
def test_nonce_must_have_twelve_bytes(nonce: bytes) -> None:
    with pytest.raises(ValueError, match="12 bytes"):
        encrypt_secret("token", NAME, NEW, nonce)


def test_key_id_does_not_reveal_the_key() -> None:
    assert len(key_id(NEW)) == 8
    assert key_id(NEW) != key_id(OLD)
