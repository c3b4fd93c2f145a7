"""Email addresses: wire format, and why an address is refused."""

import pytest

from portal.core.rules.email_address import address_problem, needs_smtputf8, to_wire_format


@pytest.mark.parametrize(
    ("typed", "wire"),
    [
        ("jordan@example.org", "jordan@example.org"),
        ("jordan@bücher.example", "jordan@xn--bcher-kva.example"),
        ("jordan@bu\u0308cher.example", "jordan@xn--bcher-kva.example"),
        ("Jordan@BÜCHER.example", "Jordan@xn--bcher-kva.example"),
        ("a@例え。jp", "a@xn--r8jz45g.jp"),
        ("a@faß.de", "a@xn--fa-hia.de"),
        ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("o'neill+news@a-b.example", "o'neill+news@a-b.example"),
        ("jürgen@bücher.example", "jürgen@xn--bcher-kva.example"),
    ],
)
def test_domain_is_sent_in_ascii(typed: str, wire: str) -> None:
    assert (address_problem(typed), to_wire_format(typed)) == (None, wire)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", "not an email address"),
        ("jordan", "not an email address"),
        ("jordan@example", "not an email address"),
        ("jor,dan@example.org", "not an email address"),
        ("a@b@example.org", "not an email address"),
        ("a..b@example.org", "not an email address"),
        (".a@example.org", "not an email address"),
        ("a b@example.org", "not an email address"),
        ("jo\u200brdan@example.org", "U+200B"),
        ("jordan@exa\u00admple.org", "U+00AD"),
        ("jordan@example.org\u2060", "U+2060"),
        ("jordan\r\nBcc:x@example.org", "not an email address"),
        ("a@☃.example", "☃.example is not a valid domain"),
        ("a@-b.example", "not an email address"),
        ("a@b..example", "not an email address"),
        ("a@1.2.3.4", "not an email address"),
        (f"a@{'x' * 64}.example", "not an email address"),
        (f"{'x' * 65}@example.org", "not an email address"),
        (f"a@{'x' * 60}.{'y' * 60}.{'z' * 60}.{'w' * 60}.{'v' * 20}", "not an email address"),
        (f"{'x' * 64}@{'x' * 60}.{'y' * 60}.{'z' * 60}.example", "not an email address"),
    ],
)
def test_invalid_address_has_a_reason(typed: str, message: str) -> None:
    assert message in str(address_problem(typed))


def test_only_the_local_part_needs_smtputf8() -> None:
    assert [needs_smtputf8(address) for address in ("a@bücher.example", "ü@example.org")] == [False, True]
