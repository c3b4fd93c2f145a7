"""Judgements about the account at Twilio: may we send, from which number, how fast, and what Twilio answers itself."""

from collections.abc import Mapping

from portal.domain.app_config import SenderSettings
from portal.domain.diagnosis import CREDENTIALS, Check, Subject, sender_words
from portal.domain.pacing import RATES
from portal.domain.provider_codes import CODES, explain
from portal.domain.twilio_account import Account, OwnNumber, Trouble, type_by_number, type_by_twilio

ACCOUNT = Subject("Twilio", "Account")
CLOCK = Subject("Twilio", "Clock")
TEST_CREDENTIALS = Subject("Twilio", "Test credentials")
TOKEN = Subject("Twilio", "Webhook token")
NUMBER = Subject("Twilio", "Sending number")
NUMBER_TYPE = Subject("Twilio", "Number type")
RATE = Subject("Twilio", "Rate")
ANSWERS = Subject("Twilio", "STOP and HELP")

_TYPE_WORDS: Mapping[str, str] = {"long_code": "long code", "toll_free": "toll-free number", "short_code": "short code"}
_AUTH_SETTING = "Correct SmsGatewayAuthentication on AppConfig."
_SENDER_SETTING = "Correct SmsGatewaySettings on AppConfig."
_SKEW_WARNS_SECONDS, _SKEW_FAILS_SECONDS = 30, 60
_SENDER_CODES = ("21212", "21601", "21603", "21606", "21611", "21659", "21660", "21661")
EXPECTED_REFUSAL = "21211"
"""What test credentials answer for the magic number that is no phone number: proof that they are accepted."""


def credentials(found: Account | Trouble, key_works: bool = False) -> Check:
    """`key_works`: an API key, which need not be allowed to read the account, could read its numbers."""
    if isinstance(found, Account):
        return CREDENTIALS.ok("Twilio accepts them.")
    if key_works:
        return CREDENTIALS.ok("Twilio accepts the API key.")
    if found.status is None:
        return CREDENTIALS.failing(found.words, "Let this machine reach Twilio, or correct PORTAL_TWILIO_API_URL.")
    if found.status == 429 or found.status >= 500:
        return CREDENTIALS.unknown(trouble_words(found), "Run the doctor again in a minute.")
    known = CODES.get(found.code)
    if known is not None:
        return CREDENTIALS.failing(f"{known.sentence} (code {known.code})", known.remedy)
    if found.is_refusal:
        return CREDENTIALS.failing("Twilio does not accept the account's credentials.", _AUTH_SETTING)
    return CREDENTIALS.unknown(trouble_words(found), "Check PORTAL_TWILIO_API_URL.")


def account(found: Account | Trouble) -> Check:
    if isinstance(found, Trouble):
        return ACCOUNT.unknown("Its state could not be read.", "Look at the account in Twilio's console.")
    if found.status != "active":
        return ACCOUNT.failing(f"The account is {found.status or 'not active'}.", "Settle it with Twilio.")
    if found.kind == "Trial":
        return ACCOUNT.warning("It is a trial account: it texts verified numbers only.", "Upgrade it at Twilio.")
    return ACCOUNT.ok("It is active.")


def clock(skew_seconds: float | None) -> Check:
    """`skew_seconds` is how far this machine's clock is ahead of Twilio's; None when Twilio's was not heard."""
    if skew_seconds is None:
        return CLOCK.unknown("Twilio's clock was not heard.")
    off, way = round(abs(skew_seconds)), "ahead of" if skew_seconds > 0 else "behind"
    if off <= _SKEW_WARNS_SECONDS:
        return CLOCK.ok(f"It agrees with Twilio's within {max(off, 1)} s.")
    why = (
        f"This machine's clock is {off:,} s {way} Twilio's. The order of START and STOP, and when a text of unknown "
        "outcome may be sent again, lean on it."
    )
    mend = "Set the clock from the network, with chrony or systemd-timesyncd."
    return CLOCK.failing(why, mend) if off > _SKEW_FAILS_SECONDS else CLOCK.warning(why, mend)


def credentials_of_test_mode(code: str | None, trouble: Trouble | None, in_use: bool, same_as_live: bool) -> Check:
    """`code` is Twilio's answer to a text for the magic number that is no phone number; None when none was made."""
    worst = TEST_CREDENTIALS.failing if in_use else TEST_CREDENTIALS.warning
    setting = "Correct TestSmsGatewayAuthentication on AppConfig."
    if same_as_live:
        return worst("They are those of the live account: test mode would send real texts.", setting)
    if trouble is not None and trouble.is_refusal:
        return worst("Twilio does not accept them.", setting)
    if trouble is not None or code is None:
        return TEST_CREDENTIALS.unknown(trouble_words(trouble) if trouble else "They could not be tried.")
    if code in _SENDER_CODES:
        return worst(
            f"Twilio accepts them, but not the FromNumber: {explain(code).sentence}",
            "Only +15005550006 works; the other magic numbers are for rehearsing a fault.",
        )
    if code == EXPECTED_REFUSAL:
        return TEST_CREDENTIALS.ok("Twilio accepts them. They can only send, so nothing more of them can be tried.")
    return TEST_CREDENTIALS.unknown(f"Twilio answered code {code}, which says nothing of them.")


def no_test_credentials(in_use: bool, unreadable: str | None = None) -> Check:
    """`unreadable`: they are stored, and why they cannot be read."""
    words = unreadable or "They or their FromNumber are not set."
    if in_use:
        return TEST_CREDENTIALS.failing(f"{words} Test mode is on, so no text leaves.", "Set them, or end test mode.")
    return TEST_CREDENTIALS.unknown(f"{words} Test mode needs them.", "Set them on AppConfig.")


def token(tokens: int) -> Check:
    if tokens:
        return TOKEN.ok("An AuthToken is set, so webhooks can be verified.")
    return TOKEN.failing(
        "No AuthToken is set. Twilio signs webhooks with it, never with an API key, so START, STOP and receipts are "
        "all refused.",
        "Add AuthToken to SmsGatewayAuthentication, beside the API key.",
    )


def number(sender: SenderSettings, own: OwnNumber | Trouble | None) -> Check:
    shown = sender_words(sender.from_number)
    if isinstance(own, Trouble):
        return NUMBER.unknown(f"The account's numbers could not be read. {trouble_words(own)}")
    if own is None:
        return NUMBER.failing(f"The account does not own {shown}.", _SENDER_SETTING)
    if not own.can_text:
        return NUMBER.failing(f"{shown} is the account's, but Twilio does not let it send texts.", _SENDER_SETTING)
    return NUMBER.ok(f"{shown} is the account's and can text.")


def number_of_service(trouble: Trouble | None) -> Check:
    if trouble is None:
        return NUMBER.ok("The messaging service is the account's; it chooses the number for each text.")
    if trouble.code == "20404":
        return NUMBER.failing("The account has no such messaging service.", _SENDER_SETTING)
    return NUMBER.unknown(
        f"The messaging service cannot be checked from here. {trouble_words(trouble)}",
        "Look at Messaging → Services in Twilio's console.",
    )


def number_type(sender: SenderSettings, own: OwnNumber) -> Check:
    told = type_by_twilio(own)
    real, source = (told, "Twilio says") if told else (type_by_number(own.number), "Its digits say")
    words = f"{source} it is a {_TYPE_WORDS[real]}"
    if real == sender.number_type:
        return NUMBER_TYPE.ok(f"{words}, {'as set' if sender.type_is_set else 'as worked out from the number'}.")
    says = "NumberType says" if sender.type_is_set else "worked out from the number it is a"
    return NUMBER_TYPE.warning(
        f"{words}, but {says} {_TYPE_WORDS[sender.number_type]}: rate and answers to STOP follow "
        f"{'the setting' if sender.type_is_set else 'that'}.",
        f'Set "NumberType": "{real}" in SmsGatewaySettings.',
    )


def rate(sender: SenderSettings, real: str) -> Check:
    """Compare the rate in force with what a number of its real type may send (docs/twilio.md#rates)."""
    allowed, force = RATES[real], sender.segments_per_second
    words = f"{force:g} {'segment' if force == 1 else 'segments'} a second; a {_TYPE_WORDS[real]} may send {allowed:g}"
    if force <= allowed:
        return RATE.ok(f"{words}.")
    if real == "long_code":
        return RATE.warning(
            f"{words}, unless its 10DLC campaign was granted more. What is too fast waits in Twilio's queue, where "
            "it can no longer be stopped, and is refused after 10 hours (code 21611).",
            "Compare with the campaign's rate in Twilio's console, or lower SegmentsPerSecond.",
        )
    return RATE.warning(
        f"{words}. What is too fast waits in Twilio's queue, where it can no longer be stopped.",
        "Lower SegmentsPerSecond in SmsGatewaySettings, or have Twilio raise the number's rate.",
    )


def answers(sender: SenderSettings, real: str) -> Check:
    """Either Twilio or the portal answers STOP and HELP, never both and never neither (docs/twilio.md#auto-replies)."""
    said = ", ".join(sorted(sender.twilio_answers)) or "nothing"
    if sender.messaging_service_sid:
        return ANSWERS.unknown(
            f"Twilio does not tell what a messaging service answers itself. TwilioAnswers says: {said}.",
            "Compare with Messaging → Services → Opt-out management in Twilio's console.",
        )
    if real == "short_code":
        return _answers_of_short_code(sender, said)
    missing = sorted({"STOP", "HELP"} - sender.twilio_answers)
    if missing:
        return ANSWERS.warning(
            f"Twilio answers {' and '.join(missing)} from this number itself, so the portal's own answer would be a "
            "second one, and is refused after STOP (code 21610).",
            'Set "TwilioAnswers": ["STOP", "HELP"], or leave it out.',
        )
    more = " After STOP only START or UNSTOP opens the number again, YES does not." if real == "toll_free" else ""
    return ANSWERS.ok(f"Twilio answers them itself and blocks the number; the portal keeps its own list too.{more}")


def _answers_of_short_code(sender: SenderSettings, said: str) -> Check:
    if not sender.twilio_answers:
        return ANSWERS.ok("From a short code Twilio answers nothing itself; the portal answers.")
    return ANSWERS.failing(
        f"From a short code Twilio answers nothing itself, but TwilioAnswers says it answers {said}: nobody would.",
        'Set "TwilioAnswers": [] in SmsGatewaySettings.',
    )


def trouble_words(trouble: Trouble) -> str:
    known = CODES.get(trouble.code)
    return f"{known.sentence} (code {known.code})" if known else trouble.words
