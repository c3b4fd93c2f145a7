"""The routing decision: whether a text is sent, where, and why not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.rules.routing import (
    Mode,
    Reason,
    RecipientPhone,
    Switches,
    TextKind,
    block_reason,
    route_text,
    send_block_reason,
)

ON = Switches(feature_on=True)
OWN = RecipientPhone("+12025550100", receives_sms=True)
OVERRIDE = "+12025550199"
PHONES = st.builds(
    RecipientPhone,
    st.sampled_from(["+12025550100", "+12025550101", "+442079460000"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
SWITCHES = st.builds(Switches, st.booleans(), st.booleans(), st.sampled_from([None, OVERRIDE]), st.booleans())


def test_text_is_sent_to_the_enabled_phone() -> None:
    other = RecipientPhone("+12025550101", receives_sms=False)
    decision = route_text(ON, True, [other, OWN])
    assert (decision.will_send, decision.reason) == (True, None)
    assert decision.phone == decision.sent_to == OWN.phone


@pytest.mark.parametrize("blocked", [{"is_opted_out": True}, {"is_unreachable": True}])
def test_text_is_sent_to_the_phone_that_is_not_blocked(blocked: dict[str, bool]) -> None:
    first = RecipientPhone("+12025550101", receives_sms=True, **blocked)
    assert route_text(ON, True, [first, OWN]).sent_to == OWN.phone
    assert route_text(ON, True, [OWN, first]).sent_to == OWN.phone


def test_reason_is_that_of_the_first_enabled_phone() -> None:
    unreachable = RecipientPhone("+12025550101", receives_sms=True, is_unreachable=True)
    opted_out = RecipientPhone("+12025550102", receives_sms=True, is_opted_out=True)
    decisions = [route_text(ON, True, phones) for phones in ([unreachable, opted_out], [opted_out, unreachable])]
    assert [(decision.reason, decision.phone) for decision in decisions] == [
        (Reason.UNREACHABLE, unreachable.phone),
        (Reason.STOPPED, opted_out.phone),
    ]


@pytest.mark.parametrize(
    ("switches", "sms_enabled", "phones", "reason"),
    [
        (Switches(feature_on=False), True, [OWN], Reason.FEATURE_OFF),
        (ON, False, [OWN], Reason.TEMPLATE_EMAIL_ONLY),
        (ON, True, [], Reason.NO_NUMBER),
        (ON, True, [RecipientPhone("+12025550100", receives_sms=False)], Reason.NOT_OPTED_IN),
        (ON, True, [RecipientPhone("+12025550100", receives_sms=True, is_opted_out=True)], Reason.STOPPED),
        (ON, True, [RecipientPhone("+12025550100", receives_sms=False, is_opted_out=True)], Reason.STOPPED),
        (
            ON,
            True,
            [RecipientPhone("+12025550100", receives_sms=False, receives_sms_elsewhere=True)],
            Reason.OTHER_ACCOUNT_RECEIVES,
        ),
        (ON, True, [RecipientPhone("+12025550100", receives_sms=True, is_unreachable=True)], Reason.UNREACHABLE),
        (
            ON,
            True,
            [RecipientPhone("+12025550100", receives_sms=True, is_opted_out=True, is_unreachable=True)],
            Reason.STOPPED,
        ),
        (Switches(feature_on=True, configured=False), True, [OWN], Reason.NOT_CONFIGURED),
        (Switches(feature_on=False, configured=False), False, [], Reason.FEATURE_OFF),
        (Switches(feature_on=True, override_number=OVERRIDE), True, [], Reason.NO_NUMBER),
    ],
)
def test_first_reason_that_applies_is_given(
    switches: Switches, sms_enabled: bool, phones: list[RecipientPhone], reason: Reason
) -> None:
    decision = route_text(switches, sms_enabled, phones)
    assert (decision.will_send, decision.reason, decision.sent_to) == (False, reason, "")


def test_every_reason_has_its_own_label() -> None:
    labels = [reason.label for reason in Reason]
    assert len(set(labels)) == len(labels)
    assert all(label and not label.endswith(".") for label in labels)


def test_opt_out_label_says_that_only_start_helps() -> None:
    assert "only START from that phone" in Reason.STOPPED.label


@pytest.mark.parametrize(
    ("switches", "mode"),
    [
        (Switches(feature_on=False, test_mode=True, override_number=OVERRIDE), Mode.OFF),
        (Switches(feature_on=True), Mode.LIVE),
        (Switches(feature_on=True, override_number=OVERRIDE), Mode.OVERRIDE),
        (Switches(feature_on=True, test_mode=True), Mode.TEST),
        (Switches(feature_on=True, test_mode=True, override_number=OVERRIDE), Mode.TEST_OVERRIDE),
    ],
)
def test_test_mode_and_override_are_independent(switches: Switches, mode: Mode) -> None:
    assert switches.mode is mode


@given(SWITCHES, st.booleans(), st.lists(PHONES, max_size=4))
def test_text_is_sent_only_if_nothing_blocks_it(
    switches: Switches, sms_enabled: bool, phones: list[RecipientPhone]
) -> None:
    decision = route_text(switches, sms_enabled, phones)
    assert decision.will_send == (decision.reason is None)
    if not decision.will_send:
        assert decision.sent_to == ""
        return
    assert switches.feature_on
    assert switches.configured
    assert sms_enabled
    recipient = next(phone for phone in phones if phone.receives_sms and block_reason(phone) is None)
    assert recipient.phone == decision.phone
    assert not recipient.is_opted_out
    assert not recipient.is_unreachable


@given(SWITCHES, st.booleans(), st.lists(PHONES, max_size=4))
def test_override_only_changes_where_the_text_is_sent(
    switches: Switches, sms_enabled: bool, phones: list[RecipientPhone]
) -> None:
    plain = Switches(switches.feature_on, switches.test_mode, None, switches.configured)
    overridden = Switches(switches.feature_on, switches.test_mode, OVERRIDE, switches.configured)
    direct, redirected = route_text(plain, sms_enabled, phones), route_text(overridden, sms_enabled, phones)
    assert (direct.will_send, direct.reason, direct.phone) == (
        redirected.will_send,
        redirected.reason,
        redirected.phone,
    )
    assert direct.sent_to == (direct.phone if direct.will_send else "")
    assert redirected.sent_to == (OVERRIDE if redirected.will_send else "")


@given(st.sampled_from(list(TextKind)), st.builds(RecipientPhone, st.just("+1"), *[st.booleans()] * 4), st.booleans())
def test_no_kind_of_text_goes_to_an_opted_out_phone(kind: TextKind, phone: RecipientPhone, on_account: bool) -> None:
    reason = send_block_reason(kind, phone, on_account)
    assert reason is not None or not phone.is_opted_out


@pytest.mark.parametrize("on_account", [True, False])
def test_answer_needs_no_consent_but_a_phone_that_gets_texts(on_account: bool) -> None:
    stranger = RecipientPhone("+12025550100", receives_sms=False)
    assert send_block_reason(TextKind.ANSWER, stranger, on_account) is None
    assert send_block_reason(TextKind.NOTIFICATION, stranger, on_account) is not None
    assert send_block_reason(TextKind.ANSWER, stranger, on_account, too_late=True) is Reason.EXPIRED
    unreachable = RecipientPhone("+12025550100", receives_sms=False, is_unreachable=True)
    assert send_block_reason(TextKind.ANSWER, unreachable, on_account) is Reason.UNREACHABLE


@pytest.mark.parametrize("is_opted_out", [False, True])
@pytest.mark.parametrize("is_beyond_cap", [False, True])
def test_topic_that_was_switched_off_only_narrows(is_opted_out: bool, is_beyond_cap: bool) -> None:
    phone = OWN._replace(is_opted_out=is_opted_out)
    expected = Reason.STOPPED if is_opted_out else Reason.TOPIC_OFF
    decision = route_text(ON, True, [phone], is_beyond_cap=is_beyond_cap, is_topic_off=True)
    assert decision == (False, expected, OWN.phone, "", None)
    kind, late = TextKind.NOTIFICATION, {"too_late": True, "is_beyond_cap": is_beyond_cap}
    assert send_block_reason(kind, phone, **late, is_topic_off=True) is expected
    assert send_block_reason(TextKind.TEST, OWN, is_topic_off=True) is None
