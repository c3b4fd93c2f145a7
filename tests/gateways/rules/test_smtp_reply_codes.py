"""SMTP replies: the status code, the explanation, and whether the sender or the recipient is at fault."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.delivery.rules.circuit_breaker import SMTP_BREAKER, Signal
from portal.gateways.rules.smtp_codes import describe_smtp_status, is_sender_fault, smtp_status_code


@pytest.mark.parametrize(
    ("reply", "message", "code"),
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
def test_enhanced_code_is_used_if_its_class_matches_the_reply(reply: int, message: str, code: str) -> None:
    assert smtp_status_code(reply, message) == code


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("5.1.1", "There is no such mailbox."),
        ("5.2.2", "The mailbox is full."),
        ("4.2.2", "The mailbox is full."),
        ("5.3.4", "The email is too big for the mail server."),
        ("5.7.1", "The mail server rejected it by its own policy."),
        ("5.7.99", "The mail server rejected it by its own policy."),
        ("5.1.99", "Something is wrong with the address."),
        ("550", "The mailbox does not exist, or does not accept our email."),
        ("address", "This is not a valid email address."),
        ("5.9.9", "The mail server rejected it."),
        ("", "The mail server rejected it."),
    ],
)
def test_code_has_a_sentence_of_its_own_or_of_its_subject(code: str, sentence: str) -> None:
    assert describe_smtp_status(code).sentence == sentence
    assert describe_smtp_status(code).remedy


@given(st.text())
def test_any_reply_has_an_explanation(message: str) -> None:
    assert describe_smtp_status(smtp_status_code(550, message)).sentence.endswith(".")


@pytest.mark.parametrize(
    ("code", "message", "sender_fault"),
    [
        ("4.3.2", "not accepting network messages", True),
        ("421", "closing", True),
        ("4.7.1", "Greylisted, come back", False),
        ("4.2.2", "over quota", False),
        ("5.1.1", "no such user", False),
        ("5.7.1", "relaying denied", True),
    ],
)
def test_mailbox_problem_is_not_a_sender_fault(code: str, message: str, sender_fault: bool) -> None:
    assert is_sender_fault(code, message) is sender_fault


def test_success_resets_the_failure_count() -> None:
    failing = Signal.FAILING
    assert SMTP_BREAKER.count_failures(0, [failing, failing, Signal.WORKS, failing, Signal.NONE]) == 1


def test_unreachable_server_reaches_the_threshold_at_once() -> None:
    assert SMTP_BREAKER.count_failures(0, [Signal.DOWN]) == SMTP_BREAKER.threshold
    assert SMTP_BREAKER.count_failures(SMTP_BREAKER.threshold, [Signal.DOWN]) == SMTP_BREAKER.threshold + 1
    assert SMTP_BREAKER.probe_delay_ms(SMTP_BREAKER.threshold - 1) == 0


def test_cooldown_grows_to_five_minutes() -> None:
    cooldowns = [SMTP_BREAKER.probe_delay_ms(SMTP_BREAKER.threshold + failures) // 1000 for failures in range(7)]
    assert cooldowns == [10, 30, 60, 120, 300, 300, 300]


@pytest.mark.parametrize(
    ("reply", "message", "code"),
    [
        (554, "delivery error: dd This user doesn't have an account", "5.1.1"),
        (554, "delivery error: dd This user doesn't have a yahoo.com account (a@yahoo.com) [0]", "5.1.1"),
        (554, "delivery error: dd Requested mail action aborted, mailbox not found", "5.1.1"),
        (550, "5.4.1 Recipient address rejected: Access denied. AS(201806281)", "5.1.1"),
        (550, "5.5.0 Requested action not taken: mailbox unavailable (S2017062302).", "5.1.1"),
        (554, "5.7.1 <a@example.org>: Recipient address rejected: User unknown in relay recipient table", "5.1.1"),
        (550, "5.1.1 <a@example.org>: Recipient address rejected: User unknown in virtual mailbox table", "5.1.1"),
        (550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", "5.1.10"),
        (550, "5.3.0 <a@example.org>... User unknown", "5.1.1"),
        (554, "Invalid recipient a@example.org", "5.1.1"),
        (511, "sorry, no mailbox here by that name (#5.1.1)", "5.1.1"),
        (554, "5.0.0 Unrouteable address", "5.1.1"),
        (554, "Mailbox disabled, not accepting messages", "5.2.1"),
        (
            554,
            "30 Sorry, your message to a@example.org cannot be delivered. This mailbox is disabled (554.30).",
            "5.2.1",
        ),
        (550, "5.2.1 The email account that you tried to reach is inactive.", "5.2.1"),
        (452, "4.2.2 The email account that you tried to reach is over quota.", "4.2.2"),
        (554, "5.0.0 mailbox is full", "5.2.2"),
        (554, "Quota exceeded (mailbox for user is full)", "5.2.2"),
        (450, "4.0.0 User is over the quota", "4.2.2"),
        (550, "5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required", "5.7.133"),
        (550, "5.7.1 RESOLVER.RST.AuthRequired; authentication required", "5.7.133"),
        (450, "4.2.0 <a@example.org>: Recipient address rejected: Greylisted", "4.2.0"),
        (451, "4.7.1 Greylisting in action, please come back later", "4.7.1"),
    ],
)
def test_message_about_the_recipient_corrects_the_code(reply: int, message: str, code: str) -> None:
    assert smtp_status_code(reply, message) == code
    assert not is_sender_fault(code, message)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (550, "Sender address rejected: User unknown in local recipient table"),
        (550, "5.1.0 <notices@example.org>: Sender address rejected: Domain not found"),
        (554, "Message rejected: Email address is not verified. The following identities failed the check"),
        (550, "sorry, that domain isn't in my list of allowed rcpthosts"),
        (550, "5.7.1 Unable to relay"),
        (554, "5.7.1 <a@example.org>: Relay access denied"),
        (550, "5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus"),
        (550, "5.7.606 Access denied, banned sending IP [192.0.2.1]"),
        (550, "5.7.708 Service unavailable. Access denied, traffic not accepted from this IP"),
        (550, "5.7.515 Access denied, sending domain example.org does not meet the required authentication level"),
        (550, "5.7.26 This mail has been blocked because the sender is unauthenticated."),
        (550, "5.7.1 Our system has detected that this message is likely unsolicited mail."),
        (554, "5.7.9 Message not accepted for policy reasons. See https://postmaster.example"),
        (421, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints"),
        (553, "5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus's list"),
        (550, "5.4.5 Daily user sending limit exceeded"),
        (550, "Your account is not allowed to send to this many users"),
        (554, "IP=192.0.2.1 - a problem occurred; this address is not listed with us"),
        (550, "5.7.60 SMTP; Client does not have permissions to send as this sender"),
        (554, "5.7.1 an undocumented reason"),
    ],
)
def test_message_about_the_sender_is_a_sender_fault(reply: int, message: str) -> None:
    assert is_sender_fault(smtp_status_code(reply, message), message)


@given(st.text(alphabet=" abehilmorstux.-'@;", max_size=2_000))
def test_long_messages_are_matched_in_linear_time(message: str) -> None:
    assert smtp_status_code(550, message[:2_000] + " mailbox" * 200)
