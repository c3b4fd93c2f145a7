import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.routing import Mode, Number, Reason, Switches, decide, why_not

ON = Switches(feature_on=True)
OWN = Number("+12025550100", receives_sms=True)
OVERRIDE = "+12025550199"
NUMBERS = st.builds(
    Number,
    st.sampled_from(["+12025550100", "+12025550101", "+442079460000"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
SWITCHES = st.builds(Switches, st.booleans(), st.booleans(), st.sampled_from([None, OVERRIDE]), st.booleans())


def test_a_text_goes_to_the_number_that_holds_sms() -> None:
    other = Number("+12025550101", receives_sms=False)
    decision = decide(ON, True, [other, OWN])
    assert (decision.goes, decision.reason) == (True, None)
    assert decision.number == decision.sent_to == OWN.number


@pytest.mark.parametrize("silent", [{"stopped": True}, {"unreachable": True}])
def test_of_two_numbers_that_hold_sms_the_text_goes_to_the_one_that_can_be_texted(silent: dict[str, bool]) -> None:
    first = Number("+12025550101", receives_sms=True, **silent)
    assert decide(ON, True, [first, OWN]).sent_to == OWN.number
    assert decide(ON, True, [OWN, first]).sent_to == OWN.number


def test_where_no_number_that_holds_sms_can_be_texted_the_reason_is_that_of_the_first() -> None:
    dead = Number("+12025550101", receives_sms=True, unreachable=True)
    stopped = Number("+12025550102", receives_sms=True, stopped=True)
    found = [decide(ON, True, numbers) for numbers in ([dead, stopped], [stopped, dead])]
    assert [(one.reason, one.number) for one in found] == [
        (Reason.UNREACHABLE, dead.number),
        (Reason.STOPPED, stopped.number),
    ]


@pytest.mark.parametrize(
    ("switches", "sms_enabled", "numbers", "reason"),
    [
        (Switches(feature_on=False), True, [OWN], Reason.FEATURE_OFF),
        (ON, False, [OWN], Reason.TEMPLATE_EMAIL_ONLY),
        (ON, True, [], Reason.NO_NUMBER),
        (ON, True, [Number("+12025550100", receives_sms=False)], Reason.NOT_OPTED_IN),
        (ON, True, [Number("+12025550100", receives_sms=True, stopped=True)], Reason.STOPPED),
        (ON, True, [Number("+12025550100", receives_sms=False, stopped=True)], Reason.STOPPED),
        (ON, True, [Number("+12025550100", receives_sms=False, held_elsewhere=True)], Reason.HELD_BY_OTHER),
        (ON, True, [Number("+12025550100", receives_sms=True, unreachable=True)], Reason.UNREACHABLE),
        (ON, True, [Number("+12025550100", receives_sms=True, stopped=True, unreachable=True)], Reason.STOPPED),
        (Switches(feature_on=True, configured=False), True, [OWN], Reason.NOT_CONFIGURED),
        (Switches(feature_on=False, configured=False), False, [], Reason.FEATURE_OFF),
        (Switches(feature_on=True, override_number=OVERRIDE), True, [], Reason.NO_NUMBER),
    ],
)
def test_no_text_goes_and_the_reason_is_the_first_that_applies(
    switches: Switches, sms_enabled: bool, numbers: list[Number], reason: Reason
) -> None:
    decision = decide(switches, sms_enabled, numbers)
    assert (decision.goes, decision.reason, decision.sent_to) == (False, reason, "")


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
    switches: Switches, sms_enabled: bool, numbers: list[Number]
) -> None:
    decision = decide(switches, sms_enabled, numbers)
    assert decision.goes == (decision.reason is None)
    if not decision.goes:
        assert decision.sent_to == ""
        return
    assert switches.feature_on
    assert switches.configured
    assert sms_enabled
    whom = next(number for number in numbers if number.receives_sms and why_not(number) is None)
    assert whom.number == decision.number
    assert not whom.stopped
    assert not whom.unreachable


@given(SWITCHES, st.booleans(), st.lists(NUMBERS, max_size=4))
def test_the_override_changes_nothing_but_where_the_text_is_sent(
    switches: Switches, sms_enabled: bool, numbers: list[Number]
) -> None:
    plain = Switches(switches.feature_on, switches.test_mode, None, switches.configured)
    overridden = Switches(switches.feature_on, switches.test_mode, OVERRIDE, switches.configured)
    without, with_it = decide(plain, sms_enabled, numbers), decide(overridden, sms_enabled, numbers)
    assert (without.goes, without.reason, without.number) == (with_it.goes, with_it.reason, with_it.number)
    assert without.sent_to == (without.number if without.goes else "")
    assert with_it.sent_to == (OVERRIDE if with_it.goes else "")
