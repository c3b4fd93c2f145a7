import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.settings.rules.encryption import DecryptionError, decrypt_secret, encrypt_secret, key_id

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
NONCE = bytes(range(12))
NAME = "SmsGatewayAuthentication"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.binary(min_size=12, max_size=12))
def test_what_was_sealed_opens_again_and_shows_nothing_meanwhile(text: str, nonce: bytes) -> None:
    sealed = encrypt_secret(text, NAME, NEW, nonce)
    assert decrypt_secret(sealed, NAME, (NEW,)) == text
    assert sealed.startswith(f"v1.{key_id(NEW)}.")
    assert len(text) < 4 or text not in sealed


def test_two_seals_of_the_same_text_look_different() -> None:
    assert encrypt_secret("a", NAME, NEW, NONCE) != encrypt_secret("a", NAME, NEW, b"y" * 12)


def test_a_value_of_an_old_key_still_opens_beside_a_new_one() -> None:
    assert decrypt_secret(encrypt_secret("token", NAME, OLD, NONCE), NAME, (NEW, OLD)) == "token"


def test_a_value_of_a_key_that_is_gone_names_the_setting_and_the_variable() -> None:
    with pytest.raises(
        DecryptionError, match=rf"^{NAME} was encrypted with a key that is not in PORTAL_ENCRYPTION_KEY\.$"
    ):
        decrypt_secret(encrypt_secret("token", NAME, OTHER, NONCE), NAME, (NEW, OLD))


def test_a_value_moved_to_another_setting_does_not_open() -> None:
    with pytest.raises(DecryptionError, match=r"^TestSmsGatewayAuthentication cannot be decrypted"):
        decrypt_secret(encrypt_secret("token", NAME, NEW, NONCE), "TestSmsGatewayAuthentication", (NEW,))


def test_the_refusal_does_not_hold_the_secret() -> None:
    with pytest.raises(DecryptionError) as refused:
        decrypt_secret(encrypt_secret("the-token", NAME, NEW, NONCE), "Other", (NEW,))
    assert "the-token" not in str(refused.value)


@given(st.integers(0, 12 + 5 + 16 - 1), st.integers(1, 255))
def test_one_changed_byte_anywhere_is_noticed(place: int, change: int) -> None:
    head, _, payload = encrypt_secret("token", NAME, NEW, NONCE).rpartition(".")
    raw = bytearray(base64.b64decode(payload))
    raw[place] ^= change
    with pytest.raises(DecryptionError, match="the stored value was changed"):
        decrypt_secret(f"{head}.{base64.b64encode(raw).decode()}", NAME, (NEW,))


@pytest.mark.parametrize("length", [12, 13, 20, 27])
def test_a_value_that_lost_its_end_is_refused(length: int) -> None:
    head, _, payload = encrypt_secret("token", NAME, NEW, NONCE).rpartition(".")
    cut = base64.b64encode(base64.b64decode(payload)[:length]).decode()
    with pytest.raises(DecryptionError):
        decrypt_secret(f"{head}.{cut}", NAME, (NEW,))


@pytest.mark.parametrize("payload", ["", "token", "v1", "v1.KEY", "v1.KEY.", "v1.KEY.YQ==", "v1.KEY.YQ", "v1.KEY.!!!"])
def test_what_does_not_look_sealed_is_refused_in_words(payload: str) -> None:
    with pytest.raises(DecryptionError):
        decrypt_secret(payload.replace("KEY", key_id(NEW)), NAME, (NEW,))


def test_a_seal_of_a_later_version_is_refused() -> None:
    with pytest.raises(DecryptionError):
        decrypt_secret(encrypt_secret("token", NAME, NEW, NONCE).replace("v1.", "v2.", 1), NAME, (NEW,))


@pytest.mark.parametrize("nonce", [b"", b"short", b"x" * 13])
def test_a_nonce_has_twelve_bytes(nonce: bytes) -> None:
    with pytest.raises(ValueError, match="12 bytes"):
        encrypt_secret("token", NAME, NEW, nonce)


def test_the_id_of_a_key_does_not_hold_the_key() -> None:
    assert len(key_id(NEW)) == 8
    assert key_id(NEW) != key_id(OLD)
