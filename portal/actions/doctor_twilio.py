"""What the doctor asks Twilio, a thread for each: the account, the sending number, the test credentials."""

from collections.abc import Callable
from email.utils import parsedate_to_datetime

from portal.actions.examining import Examination
from portal.actions.twilio_findings import Findings, Setup, account_of, asked, look_up, our_address, our_urls, setup
from portal.domain import diagnosis_twilio as judge
from portal.domain import diagnosis_wiring as wiring_judge
from portal.domain.app_config import Gateway, SenderSettings
from portal.domain.diagnosis import CREDENTIALS, Check, Subject, of_each
from portal.domain.diagnosis_address import PUBLIC_ADDRESS
from portal.domain.twilio_account import Trouble
from portal.gateways.twilio_account import TwilioAccount

Clock = Callable[[], int]
_HALF_A_SECOND_MS = 500
"""A Date header is cut to whole seconds, so on average it is this much too early."""
_OTHER_CARRIER = "Look at the carrier's own console. Saving its settings on AppConfig resumes paused lanes."
_ACCOUNT = (CREDENTIALS, judge.ACCOUNT, judge.CLOCK, judge.TOKEN)
_NUMBER = (
    judge.NUMBER,
    judge.NUMBER_TYPE,
    judge.RATE,
    judge.ANSWERS,
    wiring_judge.INBOUND,
    wiring_judge.STATUS,
    wiring_judge.REGISTRATION,
)


def examinations(clock: Clock) -> list[Examination]:
    return [
        _of_twilio(_ACCOUNT, lambda found: _account(found, clock)),
        _of_twilio(_NUMBER, _number),
        _of_twilio((judge.TEST_CREDENTIALS,), lambda found: [_test_mode(found)]),
        Examination((PUBLIC_ADDRESS,), lambda: [our_address()]),
    ]


def _of_twilio(subjects: tuple[Subject, ...], look: Callable[[Setup], list[Check]]) -> Examination:
    """Of another carrier's account nothing is known here (docs/providers.md)."""

    def run() -> list[Check]:
        found = setup()
        if found.provider != "Twilio":
            why = f"Texts go by {found.provider}, and the doctor knows Twilio only."
            return [subjects[0].unknown(why, _OTHER_CARRIER), *_unknown(subjects[1:], why)]
        return look(found)

    return Examination(subjects, run)


def _account(found: Setup, clock: Clock) -> list[Check]:
    live = found.live
    if live.credentials is None:
        missing = CREDENTIALS.failing(*found.why_missing("SmsGatewayAuthentication"))
        return [missing, *_unknown(_ACCOUNT[1:], "There are no credentials to ask with.")]
    account = account_of(live.credentials)
    before_ms = clock()
    answer = asked(account.account)
    skew = _skew_seconds(answer.date, before_ms, clock())
    works = isinstance(answer, Trouble) and answer.is_refusal and _key_works(live, account)
    return [
        judge.credentials(answer, works),
        judge.account(answer),
        judge.clock(skew),
        judge.token(len(live.credentials.signing_tokens)),
    ]


def _key_works(live: Gateway, account: TwilioAccount) -> bool:
    """A standard API key may read the account's numbers but not the account (docs/twilio.md#api-keys)."""
    if live.credentials is None or live.credentials.user == live.credentials.account_sid:
        return False
    number = live.sender.from_number if live.sender else ""
    return not isinstance(asked(lambda: account.own_number(number or "+0")), Trouble)


def _skew_seconds(date: str, before_ms: int, after_ms: int) -> float | None:
    """How far our clock is ahead of the answer's, taking the answer as made halfway."""
    try:
        theirs_ms = parsedate_to_datetime(date).timestamp() * 1000 + _HALF_A_SECOND_MS
    except (TypeError, ValueError):
        return None
    return ((before_ms + after_ms) / 2 - theirs_ms) / 1000


def _number(setting: Setup) -> list[Check]:
    live = setting.live
    if live.sender is None:
        missing = judge.NUMBER.failing(*setting.why_missing("SmsGatewaySettings"))
        return [missing, *_unknown(_NUMBER[1:], "There is no sending number to ask about.")]
    if live.credentials is None:
        return _unknown(_NUMBER, "There are no credentials to ask with.")
    account = account_of(live.credentials)
    each = [(one.key, _one_number(one, account)) for one in live.sender.each]
    lines = zip(*(checks for _, checks in each), strict=True)
    keys = [key for key, _ in each]
    return [of_each(list(zip(keys, line, strict=True))) for line in lines]


def _one_number(sender: SenderSettings, account: TwilioAccount) -> list[Check]:
    """A line for each of `_NUMBER`, in that order."""
    found = look_up(sender, account)
    real = found.real_type
    return [
        *_ownership(found),
        judge.rate(found.sender, real),
        judge.answers(found.sender, real),
        *_addresses(found),
        _registration(found, account),
    ]


def _ownership(found: Findings) -> list[Check]:
    if found.sender.messaging_service_sid:
        trouble = found.service if isinstance(found.service, Trouble) else None
        chosen = judge.NUMBER_TYPE.unknown("The messaging service chooses among its numbers.")
        return [judge.number_of_service(trouble), chosen]
    if not isinstance(found.own, tuple):
        return [judge.number(found.sender, found.own), judge.NUMBER_TYPE.unknown("Twilio did not tell.")]
    own = found.own[0]
    return [judge.number(found.sender, own), judge.number_type(found.sender, own)]


def _addresses(found: Findings) -> list[Check]:
    inbound_url, status_url = our_urls()
    if found.wiring is None:
        return wiring_judge.not_read("There is no number of the account to look at.")
    return [wiring_judge.inbound(found.wiring, inbound_url), wiring_judge.status(found.wiring, status_url)]


def _registration(found: Findings, account: TwilioAccount) -> Check:
    service = found.sender.messaging_service_sid
    if found.real_type == "toll_free" and isinstance(found.own, tuple):
        number_sid = found.own[0].sid
        return wiring_judge.toll_free(asked(lambda: account.toll_free_states(number_sid)))
    if service and found.real_type != "short_code":
        return wiring_judge.campaign(asked(lambda: account.campaign_states(service)))
    return wiring_judge.unregistered(found.sender.from_number, found.real_type)


def _test_mode(found: Setup) -> Check:
    """Nothing is asked with credentials that are the live account's: they would be no test."""
    test, live = found.test, found.live.credentials
    if test.credentials is None or test.sender is None:
        return judge.no_test_credentials(found.test_mode, found.unreadable.get("TestSmsGatewayAuthentication"))
    same = live is not None and live.account_sid == test.credentials.account_sid
    if same:
        return judge.credentials_of_test_mode(None, None, found.test_mode, same)
    account, sender = account_of(test.credentials), test.sender.from_number
    answer = asked(lambda: account.code_for_nobody(sender))
    trouble = answer if isinstance(answer, Trouble) else None
    return judge.credentials_of_test_mode(None if trouble else str(answer), trouble, found.test_mode, same)


def _unknown(subjects: tuple[Subject, ...], why: str) -> list[Check]:
    return [subject.unknown(why) for subject in subjects]
