import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.rules.routing import Mode, Reason, RecipientPhone, Switches, block_reason, route_text

ON = Switches(feature_on=True)
OWN = RecipientPhone("+12025550100", receives_sms=True)
OVERRIDE = "+12025550199"
NUMBERS = st.builds(
    RecipientPhone,
    st.sampled_from(["+12025550100", "+12025550101", "+442079460000"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
SWITCHES = st.builds(Switches, st.booleans(), st.booleans(), st.sampled_from([None, OVERRIDE]), st.booleans())


def test_a_text_goes_to_the_number_that_holds_sms() -> None:
    other = RecipientPhone("+12025550101", receives_sms=False)
    decision = route_text(ON, True, [other, OWN])
    assert (decision.will_send, decision.reason) == (True, None)
    assert decision.phone == decision.sent_to == OWN.phone


@pytest.mark.parametrize("silent", [{"stopped": True}, {"unreachable": True}])
def test_of_two_numbers_that_hold_sms_the_text_goes_to_the_one_that_can_be_texted(silent: dict[str, bool]) -> None:
    first = RecipientPhone("+12025550101", receives_sms=True, **silent)
    assert route_text(ON, True, [first, OWN]).sent_to == OWN.phone
    assert route_text(ON, True, [OWN, first]).sent_to == OWN.phone


def test_where_no_number_that_holds_sms_can_be_texted_the_reason_is_that_of_the_first() -> None:
    dead = RecipientPhone("+12025550101", receives_sms=True, is_unreachable=True)
    stopped = RecipientPhone("+12025550102", receives_sms=True, is_opted_out=True)
    found = [route_text(ON, True, numbers) for numbers in ([dead, stopped], [stopped, dead])]
    assert [(one.reason, one.phone) for one in found] == [
        (Reason.UNREACHABLE, dead.phone),
        (Reason.STOPPED, stopped.phone),
    ]


@pytest.mark.parametrize(
    ("switches", "sms_enabled", "numbers", "reason"),
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
def test_no_text_goes_and_the_reason_is_the_first_that_applies(
    switches: Switches, sms_enabled: bool, numbers: list[RecipientPhone], reason: Reason
) -> None:
    decision = route_text(switches, sms_enabled, numbers)
    assert (decision.will_send, decision.reason, decision.sent_to) == (False, reason, "")


def test_every_reason_has_words_of_its_own() -> None:
    words = [reason.message for reason in Reason]
    assert len(set(words)) == len(words)
    assert all(word and not word.endswith(".") for word in words)


def test_a_stopped_number_says_that_only_start_from_the_phone_helps() -> None:
    assert "only START from that phone" in Reason.STOPPED.message


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
def test_test_mode_and_override_are_independent_of_each_other(switches: Switches, mode: Mode) -> None:
    assert switches.mode is mode


@given(SWITCHES, st.booleans(), st.lists(NUMBERS, max_size=4))
def test_a_text_never_goes_when_anything_stands_against_it(
    switches: Switches, sms_enabled: bool, numbers: list[RecipientPhone]
) -> None:
    decision = route_text(switches, sms_enabled, numbers)
    assert decision.will_send == (decision.reason is None)
    if not decision.will_send:
        assert decision.sent_to == ""
        return
    assert switches.feature_on
    assert switches.configured
    assert sms_enabled
    whom = next(number for number in numbers if number.receives_sms and block_reason(number) is None)
    assert whom.phone == decision.phone
    assert not whom.is_opted_out
    assert not whom.is_unreachable


@given(SWITCHES, st.booleans(), st.lists(NUMBERS, max_size=4))
def test_the_override_changes_nothing_but_where_the_text_is_sent(
    switches: Switches, sms_enabled: bool, numbers: list[RecipientPhone]
) -> None:
    plain = Switches(switches.feature_on, switches.test_mode, None, switches.configured)
    overridden = Switches(switches.feature_on, switches.test_mode, OVERRIDE, switches.configured)
    without, with_it = route_text(plain, sms_enabled, numbers), route_text(overridden, sms_enabled, numbers)
    assert (without.will_send, without.reason, without.phone) == (with_it.will_send, with_it.reason, with_it.phone)
    assert without.sent_to == (without.phone if without.will_send else "")
    assert with_it.sent_to == (OVERRIDE if with_it.will_send else "")
