"""Composed emails parse back to exactly the same values with Python's own parsers."""

import random
import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.utils import getaddresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.rules.email_address import Mailbox, parse_mailbox
from portal.gateways.rules.email_headers import header_text
from portal.gateways.rules.email_message import OutgoingEmail, compose_email

CASES = 1_500
ENCODED_WORD = "=?utf-8?q?Law=0ABcc:_x=40evil.example?="
LONG_NAME = "Jordan Alexander Rivera-Montgomery, MD, PhD, MPH, FACS, FACC, Diplomate of the Academy"
TITLE = "Your application “Élite” – “Émigré Services” is complete – thank you"
HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
PIECES = (
    *(ENCODED_WORD, "=?utf-8?b?SGVsbG8=?=", "=?us-ascii?q?a?=", "=?", "?=", "=?utf-8?q?", "=41", "_"),
    *("Rivera", "Montgomery", "MD,", "PhD", "St.", "O'Neill", "a@b.example", "<x@evil.example>", "Bcc: x@evil.example"),
    *(",", ";", ":", '"', "'", "(", ")", "<", ">", "[", "]", "\\", "\\\\", "@", ".", "#", "=", "?", "%", "$"),
    *("“Élite”", "–", "’", "é", "e\u0301", "ß", "Ångström", "Константин", "山田太郎", "שלום", "مرحبا", "\u202eabc"),
    *("👍", "👩‍👩‍👧‍👦", "🇺🇸", "\u200d", "\u00a0", "\u2003", "\u00ad", "\ufeff", "\U0010ffff"),
    *("\x00", "\r", "\n", "\r\n", "\t", "\x0b", "\x0c", "\x1b", "\x1f", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"),
    *("  ", "   ", "x" * 77, "word " * 16),
)  # fmt: skip
LONG = ("x" * 1_200, "ü" * 90, "\U0001f44d" * 250, "word " * 60)


def values(seed: int, count: int) -> list[str]:
    """Random sequences of pieces that are known to break headers."""
    rng = random.Random(seed)

    def piece() -> str:
        return rng.choice(PIECES if rng.random() < 0.995 else LONG) + rng.choice(("", " ", " ", " "))

    return ["".join(piece() for _ in range(rng.randint(1, 7))) for _ in range(count)]


def compose_raw(subject: str = "Hello", name: str = "Jordan", from_name: str = "Office", text: str = "Hi.\n") -> bytes:
    mail = OutgoingEmail("jordan@example.org", name, subject, text, f"<p>{text}</p>\n", "<1.abc@example.org>")
    return compose_email(mail, Mailbox(from_name, "office@example.org"))


def check(raw: bytes, subject: str, name: str, from_name: str) -> None:
    assert {len(line) > 998 for line in raw.split(b"\r\n")} == {False}
    assert raw.isascii()
    modern = BytesHeaderParser(policy=policy.default).parsebytes(raw)
    old = BytesHeaderParser(policy=policy.compat32).parsebytes(raw)
    assert old.keys() == HEADERS, "no additional header"
    assert (str(modern["Subject"]), _text(old["Subject"])) == (subject, subject)
    for header, value, address in (("From", from_name, "office@example.org"), ("To", name, "jordan@example.org")):
        expected = value if value.strip() else ""
        (mailbox,) = modern[header].addresses
        assert (_collapse_spaces(mailbox.display_name), mailbox.addr_spec) == (_collapse_spaces(expected), address)
        ((display_name, addr_spec),) = getaddresses([old[header]])
        assert (_text(display_name), addr_spec) == (expected, address)


def _collapse_spaces(name: str) -> str:
    """Python's newer parser collapses spaces in an encoded word of a name."""
    return " ".join(name.split())


def _text(value: str) -> str:
    return str(make_header(decode_header(re.sub("\r\n(?=[ \t])", "", value))))


def test_many_subjects_and_names_parse_back() -> None:
    subjects, names, senders = (values(seed, CASES // 3) for seed in (1, 2, 3))
    for subject, *pair in zip(subjects, names, senders, strict=True):
        name, sender = (value[:170] for value in pair)
        check(compose_raw(subject, name, sender), header_text(subject), header_text(name), header_text(sender))


@given(st.text(max_size=300), st.text(max_size=200), st.text(max_size=200))
def test_any_text_parses_back(subject: str, name: str, other: str) -> None:
    check(compose_raw(subject, name, other), header_text(subject), header_text(name), header_text(other))


@pytest.mark.parametrize("value", [ENCODED_WORD, LONG_NAME, TITLE, "a\r\nBcc: x@evil.example", " a  b ", "", "Ü" * 150])
def test_value_adds_no_header_and_loses_no_space(value: str) -> None:
    check(compose_raw(value, value, value), *[header_text(value)] * 3)


def test_only_control_characters_are_replaced_in_headers() -> None:
    assert header_text("a\r\nb\x00c\td\u2028e\ud800") == "a b c d e\ufffd"
    for value in (ENCODED_WORD, LONG_NAME, TITLE, "  a  ", "e\u0301 👩‍👩‍👧‍👦 \u202e"):
        assert header_text(value) == value


def test_subject_lines_and_encoded_words_respect_the_limits() -> None:
    for value in (TITLE * 3, "Ü" * 400, "word " * 80 + "end", "x" * 500, LONG_NAME * 3):
        lines = re.findall(rb"(?m)^Subject:.*(?:\r\n[ \t].*)*", compose_raw(value))[0].split(b"\r\n")
        assert max(map(len, lines)) <= 78
        assert max(map(len, re.findall(rb"=\?utf-8\?[^ ]*\?=", b"\n".join(lines))), default=0) <= 75


def test_plain_value_is_not_encoded() -> None:
    raw = compose_raw("Your renewal is due", "Jordan Rivera", "Office, Inc.")
    assert b"Subject: Your renewal is due\r\n" in raw
    assert b"To: Jordan Rivera <jordan@example.org>\r\n" in raw
    assert b'From: "Office, Inc." <office@example.org>\r\n' in raw


BODIES = (
    "Hi.\n",
    "From here on.\nFrom \n>From there\n.\n..\n. x\n",
    "Grüße, “Élite” – 👍\n" * 20,
    "Дорогие друзья, всё готово.\n" * 20,
    "x" * 5_000 + " ü\n",
    "trailing \nspaces\t\n  \n\n\nend =3D = =\n",
    "\x00\x0c\x85\u2028 odd\n",
    "no end",
    "Windows\r\nand old Mac\rlines\n",
)


@pytest.mark.parametrize("text", BODIES)
def test_body_arrives_as_composed_in_seven_bits(text: str) -> None:
    raw = compose_raw(text=text)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert not re.search(rb"(?m)^(From |\.)", raw), "relays change such lines"
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    parsed = message_from_bytes(raw, policy=policy.default)
    expected = re.sub("\r\n|\r", "\n", text).removesuffix("\n") + "\n"
    assert _part(parsed, "plain") == expected
    assert _part(parsed, "html").startswith("<p>" + expected[:-1])


@given(st.text(alphabet=st.sampled_from("From .>=\n ü\t\x00x"), max_size=300))
def test_any_body_arrives_as_composed(text: str) -> None:
    raw = compose_raw(text=text)
    assert not re.search(rb"(?m)^(From |\.)", raw)
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert _part(message_from_bytes(raw, policy=policy.default), "plain") == text.removesuffix("\n") + "\n"


def _part(parsed: EmailMessage, subtype: str) -> str:
    part = parsed.get_body(preferencelist=(subtype,))
    assert part is not None
    assert part["Content-Transfer-Encoding"] in ("quoted-printable", "base64")
    return bytes(part.get_payload(decode=True) or b"").decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("Office, Inc. <a@b.example>", "Office, Inc.", "a@b.example"),
        ('"The \\"Office\\"" <a@b.example>', 'The "Office"', "a@b.example"),
        (f"{ENCODED_WORD} <a@bücher.example>", ENCODED_WORD, "a@xn--bcher-kva.example"),
        ("a@b.example", "", "a@b.example"),
    ],
)
def test_sender_name_is_parsed_unchanged(text: str, name: str, address: str) -> None:
    assert parse_mailbox(text) == Mailbox(name, address)
