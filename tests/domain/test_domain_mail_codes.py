"""What a mail server's refusal means, whatever it says it with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.mail_breaker import OPENS_AFTER, Sign, failures_after, rest_ms
from portal.domain.mail_codes import code_of, explain_mail, is_about_us


@pytest.mark.parametrize(
    ("reply", "words", "code"),
    [
        (550, "5.1.1 <a@example.org>: no such user", "5.1.1"),
        (550, "5.7.26 unauthenticated\n5.7.26 mail", "5.7.26"),
        (550, "no such user", "550"),
        (550, "4.2.2 over quota", "550"),
        (452, "4.2.2 over quota", "4.2.2"),
        (554, "5.7.1.9 odd", "5.7.1"),
        (550, "", "550"),
    ],
)
def test_the_code_is_the_enhanced_one_where_it_fits_the_reply(reply: int, words: str, code: str) -> None:
    assert code_of(reply, words) == code


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("5.1.1", "There is no such mailbox."),
        ("5.2.2", "The mailbox is full."),
        ("4.2.2", "The mailbox is full."),
        ("5.3.4", "The mail is too big for the mail server."),
        ("5.7.1", "The mail server refused it by its own rules."),
        ("5.7.99", "The mail server refused it by its own rules."),
        ("5.1.99", "Something is wrong with the address."),
        ("550", "The mailbox does not exist, or takes no mail from us."),
        ("address", "This is not an address that mail can be sent to."),
        ("5.9.9", "The mail server refused it."),
        ("", "The mail server refused it."),
    ],
)
def test_a_code_is_told_in_plain_words_or_by_its_subject(code: str, sentence: str) -> None:
    assert explain_mail(code).sentence == sentence
    assert explain_mail(code).remedy


@given(st.text())
def test_whatever_a_server_says_there_are_words_for_it(words: str) -> None:
    assert explain_mail(code_of(550, words)).sentence.endswith(".")


@pytest.mark.parametrize(
    ("code", "words", "about_us"),
    [
        ("4.3.2", "not accepting network messages", True),
        ("421", "closing", True),
        ("4.7.1", "Greylisted, come back", False),
        ("4.2.2", "over quota", False),
        ("5.1.1", "no such user", False),
        ("5.7.1", "relaying denied", True),
    ],
)
def test_what_concerns_one_mailbox_says_nothing_against_the_server(code: str, words: str, about_us: bool) -> None:
    assert is_about_us(code, words) is about_us


def test_only_trouble_in_a_row_counts_and_a_server_that_is_away_needs_no_second_look() -> None:
    assert failures_after(0, [Sign.TROUBLE, Sign.TROUBLE, Sign.WORKS, Sign.TROUBLE, Sign.NONE]) == 1
    assert failures_after(0, [Sign.AWAY]) == OPENS_AFTER
    assert failures_after(OPENS_AFTER, [Sign.AWAY]) == OPENS_AFTER + 1
    assert rest_ms(OPENS_AFTER - 1) == 0


def test_each_try_in_vain_is_followed_by_a_longer_rest_up_to_five_minutes() -> None:
    rests = [rest_ms(OPENS_AFTER + tries) // 1000 for tries in range(7)]
    assert rests == [10, 30, 60, 120, 300, 300, 300]
