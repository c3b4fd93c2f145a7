"""The gateway doctor: every check at once, and the two things it can mend by itself."""

from collections.abc import Callable
from dataclasses import dataclass

from portal.actions import doctor_ours, doctor_twilio
from portal.actions.errors import Refused
from portal.actions.examining import examine
from portal.actions.transaction import transaction
from portal.actions.twilio_findings import account_of, look_up, our_address, our_urls, setup
from portal.context import settings
from portal.domain.app_config import SenderSettings
from portal.domain.diagnosis import Check, is_failing, sender_words, why_not_resume
from portal.domain.diagnosis_twilio import trouble_words
from portal.domain.twilio_account import Trouble
from portal.extensions import db
from portal.gateways import queue
from portal.gateways.twilio_account import AccountError, TwilioAccount
from portal.models import audit_log
from portal.models.gateway import resume_senders

Clock = Callable[[], int]
_NOT_SET = "Nothing was set at Twilio. "


@dataclass(frozen=True)
class Report:
    checks: tuple[Check, ...]
    at_ms: int

    @property
    def is_failing(self) -> bool:
        return is_failing(self.checks)


def diagnose(clock: Clock) -> Report:
    """All checks, within about eight seconds whatever is dead."""
    at_ms = clock()
    examinations = [*doctor_twilio.examinations(clock), *doctor_ours.examinations(clock)]
    return Report(tuple(examine(examinations)), at_ms)


def resume_sending(clock: Clock, actor_id: int | None = None) -> tuple[Report, str | None]:
    """Let paused lanes go on if Twilio's checks pass; else why they stay paused."""
    report = diagnose(clock)
    refusal = why_not_resume(report.checks)
    if refusal is not None:
        return report, refusal
    with transaction():
        now_ms = clock()
        resume_senders(now_ms)
        audit_log.add("sender_resumed", "the sending number", actor_id, now_ms)
    queue.ring(settings().redis_url, "drain_sms")
    (lanes,) = examine([doctor_ours.LANES_EXAMINATION])
    checks = tuple(lanes if check.name == lanes.name else check for check in report.checks)
    return Report(checks, report.at_ms), None


def set_webhooks() -> str:
    """Set both of our addresses at Twilio, for the live sender; says what was done. Raises `Refused`."""
    found, address = setup(), our_address()
    live = found.live
    if found.provider != "Twilio":
        raise Refused(f"Nothing was set: texts go by {found.provider}, not by Twilio.")
    if address.verdict == "failing":
        raise Refused(f"{_NOT_SET}{address.why} {address.mend}")
    if live.credentials is None or live.sender is None:
        raise Refused(f"{_NOT_SET}Set SmsGatewayAuthentication and SmsGatewaySettings first.")
    account, urls = account_of(live.credentials), our_urls()
    db.session.rollback()
    for done, sender in enumerate(live.sender.each):
        refusal = _set_webhooks(sender, account, urls)
        if refusal is not None:
            raise Refused(f"{f'Set for {done:,} of the numbers only. ' if done else _NOT_SET}{refusal}")
    return "Both addresses are set at Twilio."


def _set_webhooks(sender: SenderSettings, account: TwilioAccount, urls: tuple[str, str]) -> str | None:
    """Why they could not be set; None when they are."""
    wiring = look_up(sender, account).wiring
    if wiring is None:
        return f"{sender_words(sender.key)} of SmsGatewaySettings is no number of the account."
    if isinstance(wiring, Trouble):
        return trouble_words(wiring)
    try:
        if wiring.sid == sender.messaging_service_sid:
            account.set_service_wiring(wiring.sid, *urls)
        else:
            account.set_number_wiring(wiring.sid, sender.from_number, *urls)
    except AccountError as error:
        return trouble_words(error.trouble)
    return None
