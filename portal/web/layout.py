"""What every page shows around its own content: the menu of a role, and the mode in which texts leave now."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, g, render_template, request, url_for
from flask_security import current_user

from portal.actions import mail_server, vitals, webhook_refusals
from portal.actions import settings as app_settings
from portal.actions.email_claim import server_address
from portal.actions.mail_server import MailServerStand
from portal.clock import now_ms
from portal.context import settings
from portal.domain.app_config import Gateway
from portal.domain.configuration import Configuration
from portal.domain.lane_words import lane_words, override_stopped
from portal.domain.phone import friendly, masked
from portal.domain.provider_codes import code_of, explain
from portal.domain.rehearsal import EmailRoute, masked_address, outcome, sentence
from portal.domain.routing import Mode, Switches
from portal.models import history, inbound, lane
from portal.web.access import allow, has_role

fragments = Blueprint("layout", __name__)


@dataclass(frozen=True)
class Place:
    """One entry of the menu; `endpoint` leads to it, `under` is the address that it and its sub-pages begin with."""

    words: str
    endpoint: str
    under: str


_PAUSED = "Lane paused"
_PLACES = {
    "user": (
        Place("My communications", "my_history.listing", "/MyAccount/CommunicationsHistory"),
        Place("My phone numbers", "my_numbers.listing", "/MyAccount/PhoneNumbers"),
    ),
    "admin": (
        Place("Sends", "admin_sends.listing", "/Admin/Sends"),
        Place("Templates", "admin_templates.listing", "/Admin/Automations/Templates"),
        Place("Content blocks", "admin_content.listing", "/Admin/ContentBlocks"),
        Place("Communications", "admin_communications.listing", "/Admin/Communications"),
        Place("Consent", "admin_consent.listing", "/Admin/Consent"),
        Place("Accounts", "admin_accounts.listing", "/Admin/Accounts"),
    ),
    "sysadmin": (
        Place("AppConfig", "sysadmin_config.listing", "/SysAdmin/AppConfig"),
        Place("Test harness", "sysadmin_harness.page", "/SysAdmin/SmsNotificationsTestHarness"),
        Place("Queues", "sysadmin_queues.page", "/SysAdmin/Queues"),
        Place("Audit log", "sysadmin_audit.page", "/SysAdmin/AuditLog"),
    ),
}


@dataclass(frozen=True)
class ModeWords:
    """`setting` is the one that makes it so; `until_ms` when that ends by itself, and `then` what comes after.

    What no setting makes so is mended at `href`, a page that `place` names. `code` is Twilio's, where one made it so.
    """

    tone: str
    label: str
    explanation: str
    setting: str = ""
    until_ms: int | None = None
    then: str = ""
    href: str = ""
    place: str = ""
    code: str = ""

    @property
    def link(self) -> str:
        """What Twilio says of the code; "" without one."""
        return explain(self.code).link if self.code else ""


def init_app(app: Flask) -> None:
    app.context_processor(_for_all_pages)


@fragments.get("/Admin/Mode")
@allow("admin")
def mode() -> str:
    return render_template("layout/_mode.html")


def configuration_now() -> Configuration:
    """The settings, read once for a request."""
    if "configuration" not in g:
        g.configuration = app_settings.configuration()
    return g.configuration  # type: ignore[no-any-return]


def gateway_now() -> Gateway:
    """The gateway as it is at this request."""
    if "gateway" not in g:
        g.gateway = configuration_now().gateway(now_ms())
    return g.gateway  # type: ignore[no-any-return]


def sms_shown() -> bool:
    """While texts are off pages hide them; administrators still see consent (docs/consent-rules.md#feature-switch)."""
    return gateway_now().switches.feature_on


def modes() -> list[ModeWords]:
    """What the strip says: the mode in force, then every lane that stands still, with why."""
    found = [_mode_words(configuration_now(), gateway_now().switches), *_email_override()]
    if sms_shown():
        found += _stopped_override()
        found += [_paused_sender(sender, reason) for sender, reason in app_settings.paused_lanes()]
        found += [_resting_sender(*resting) for resting in app_settings.resting_lanes(now_ms())]
        found += _provider_away()
        found += _refused_webhooks()
    found += [_paused_lane(row) for row in lane.all_lanes() if row.paused_at_ms is not None and _shows(row)]
    return found + _mail_away(mail_server.stand()) + _queue_away()


def email_route_now() -> EmailRoute:
    """Where emails go at this request."""
    return configuration_now().email_route(now_ms())


def outcome_words(emails: int, texts: int) -> str:
    """What sending so many comes to now, as buttons and confirmations say it."""
    return outcome(emails, texts if sms_shown() else 0, gateway_now().switches.mode, email_route_now())


def _email_override() -> list[ModeWords]:
    """Nothing while emails go to the people they are meant for."""
    route, setting = email_route_now(), "EnableEmailOverride"
    if not route.override_on:
        return []
    if route.stands_still:
        words = "The email override is on and has no address that mail can go to, so emails wait. None is lost."
        return [ModeWords("bad", "Email override without an address", words, "EmailOverrideAddress")]
    words = "Every email goes there instead of to the person’s own address; mails about passwords go to their owner."
    label, then = f"Email override → {masked_address(route.address or '')}", "Emails go to the people themselves then."
    until_ms = configuration_now().ends.get(setting)
    return [ModeWords("wait", label, words, setting, until_ms, then if until_ms else "")]


def _stopped_override() -> list[ModeWords]:
    """Nothing while there is none that said STOP."""
    number = app_settings.stopped_override(gateway_now().switches)
    if number is None:
        return []
    return [ModeWords("bad", "Override number stopped", override_stopped(number), "SmsOverrideNumber")]


def _provider_away() -> list[ModeWords]:
    """Nothing while it answers."""
    credentials, sender = gateway_now().credentials, gateway_now().sender
    if not (credentials and sender and vitals.provider_is_away(sender.allotment.keys, now_ms())):
        return []
    words = "Texts wait. None is lost: one is tried now and then until it answers."
    href = url_for("sysadmin_harness.page", _anchor="doctor")
    return [ModeWords("bad", f"{credentials.provider} does not answer", words, href=href, place="Gateway doctor")]


def _refused_webhooks() -> list[ModeWords]:
    """Nothing while what Twilio tells us is believed, nor for what a stranger may have made up."""
    href = url_for("sysadmin_harness.page", _anchor="doctor")
    return [
        ModeWords("bad", "Webhooks refused", one.words, href=href, place="Gateway doctor")
        for one in webhook_refusals.standing(now_ms())
    ]


def _mail_away(found: MailServerStand) -> list[ModeWords]:
    """Nothing while it takes mail."""
    if found.away_since_ms is None:
        return []
    words = "It takes no mail, so emails wait. None is lost: it is tried again by itself."
    return [
        ModeWords(
            "bad", "Mail server away", words, href=url_for("sysadmin_queues.page", _anchor="mail"), place="Queues"
        )
    ]


def _queue_away() -> list[ModeWords]:
    """Nothing while it takes work."""
    trouble = vitals.queue_trouble_lately()
    if trouble is None:
        return []
    words = f"{trouble.why} Sends go on: workers look into the database by themselves."
    return [ModeWords("bad", "Queue away", words, href=url_for("sysadmin_queues.page"), place="Queues")]


def _paused_sender(sender: str, reason: str) -> ModeWords:
    """By an error of the account: the doctor looks at Twilio, and resumes."""
    words = f"Nothing leaves from {_sender(sender)}: {reason.rstrip('.')}. A system administrator can resume it."
    href = url_for("sysadmin_harness.page", _anchor="doctor")
    return ModeWords("bad", _PAUSED, words, href=href, place="Gateway doctor", code=code_of(reason))


def _resting_sender(sender: str, code: str, until_ms: int) -> ModeWords:
    """For a limit that is used up; it goes on by itself."""
    words = f"Nothing leaves from {_sender(sender)}: {explain(code).sentence} Texts wait, and none is lost."
    href = url_for("sysadmin_queues.page", _anchor="senders")
    return ModeWords("wait", "Limit used up", words, until_ms=until_ms, href=href, place="Queues", code=code)


def _paused_lane(row: lane.Lane) -> ModeWords:
    """By hand, or since the database was restored."""
    why = "by hand" if row.paused_by_id else "by the portal or from the shell"
    label = f"{_PAUSED}: {lane_words(row.channel, row.lane)}"
    words = f"None of them leaves. It was paused {why}; a system administrator can resume it."
    return ModeWords("bad", label, words, href=url_for("sysadmin_queues.page"), place="Queues")


def _shows(row: lane.Lane) -> bool:
    return row.channel != "sms" or sms_shown()


def _for_all_pages() -> dict[str, Any]:
    return {
        "organisation": settings().organisation,
        "menus": _menus,
        "here": lambda place: request.path.startswith(place.under),
        "open_replies": inbound.open_count,
        "unread": lambda: history.unread_count(current_user.id, sms_shown()),
        "sms_shown": sms_shown,
        "outcome_words": outcome_words,
        "email_route": email_route_now,
        "has_role": has_role,
        "modes": modes,
    }


def _menus() -> list[tuple[str, tuple[Place, ...]]]:
    groups = (("Administration", "admin"), ("System", "sysadmin"), ("My account", "user"))
    return [(heading, _PLACES[role]) for heading, role in groups if has_role(role)]


def _mode_words(found: Configuration, switches: Switches) -> ModeWords:
    if switches.mode == Mode.OFF:
        return ModeWords("off", "SMS off", "Everything goes by email only.", "EnableSmsNotifications")
    if not switches.configured:
        missing = next(iter(found.missing(now_ms())), "")
        return ModeWords("bad", "SMS not set up", "The gateway's settings are incomplete, so no text leaves.", missing)
    if switches.mode in (Mode.TEST, Mode.TEST_OVERRIDE):
        return _ending(found, ModeWords("wait", "Test mode", _test_words(switches), "EnableSmsTestMode"))
    if switches.mode == Mode.OVERRIDE:
        words = f"Every text goes there instead of to the person’s own number. {_emails_too()}"
        label = f"Override → {masked(switches.override_number or '')}"
        return _ending(found, ModeWords("wait", label, words, "EnableSmsOverrideNumber"))
    if not app_settings.is_simulated(found):
        return ModeWords("ok", "Live", f"Texts reach real phones. {_emails_too()}", "EnableSmsNotifications")
    where = urlsplit(settings().twilio_api_url).netloc
    emails = "" if email_route_now().override_on else f" Emails go to the mail server at {server_address()}."
    words = f"Texts go to {where} instead of Twilio, so no real phone rings.{emails}"
    return ModeWords("wait", "Simulator", words, "EnableSmsNotifications")


def _test_words(switches: Switches) -> str:
    to = f", addressed to {masked(switches.override_number)}" if switches.override_number else ""
    return f"Texts are made with test credentials{to}; no real text leaves. {_emails_too()}"


def _emails_too() -> str:
    """A rehearsal of texts is none of emails: people take one for the other."""
    return sentence(Mode.LIVE, email_route_now()).partition(";")[0] + "."


def _ending(found: Configuration, words: ModeWords) -> ModeWords:
    """With when the setting ends by itself, and a warning when texts go live then."""
    until_ms = found.ends.get(words.setting)
    live = until_ms is not None and found.is_live(until_ms) and not app_settings.is_simulated(found)
    return replace(words, until_ms=until_ms, then="Texts go LIVE then." if live else "")


def _sender(sender: str) -> str:
    return friendly(sender, settings().region) if sender.startswith("+") else sender
