"""Save the mail server, and prove by a real email that what it accepts arrives (ADR 50)."""

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import make_msgid
from html import escape
from typing import Any

from portal.accounts.account_language import recipient_language
from portal.accounts.tables.accounts import Account
from portal.core.config import Settings
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.organisation import current_organisation
from portal.core.transaction import transaction
from portal.core.translation import N_, use_language
from portal.core.translation import gettext as _
from portal.gateways.outcomes import Accepted, Outcome
from portal.gateways.rules.email_message import OutgoingEmail
from portal.gateways.rules.smtp_probe_result import SmtpProbe
from portal.gateways.smtp import send_mail, sender_domain
from portal.gateways.smtp_probe import probe_smtp
from portal.settings.app_settings import configuration
from portal.settings.installation import completed, is_fixed
from portal.settings.rules.installation_settings import EMAIL_SERVER
from portal.settings.setting_changes import SettingUpdate, change_setting
from portal.setup.tables import setup_state
from portal.setup.time_limit import OutOfTime, within

_CODE, _PROVED = "email code", "email proved"
_CODE_LIFETIME_MS = 86_400_000
SECONDS = 9.0
"""For everything together, however slow the server is."""
_FAILURES = {
    "connect": ("Host", N_("The portal cannot reach this server: %(message)s. Check the name and the port.")),
    "encrypt": ("Security", N_("TLS could not be negotiated: %(message)s. Choose another encryption or port.")),
    "login": ("Password", N_("The server refused the user or the password: %(message)s.")),
    "sender": ("From", N_("The server does not accept this sender: %(message)s.")),
}
"""Field and sentence, by the step that failed."""


@dataclass(frozen=True)
class EmailTest:
    """`values` are those of the setting, to be saved; None tests what is in force."""

    account_id: int
    values: Mapping[str, Any] | None
    source: str = "page"


def test_email(test: EmailTest, now_ms: int) -> str:
    """Save the mail server if it answers, and send a code through it to the account's address, which is returned.

    Raises `InvalidInput`, keyed by the setting's keys; then nothing was saved, unless the message says so.
    """
    deadline, target = time.monotonic() + SECONDS, _target(test)
    account = db.session.get_one(Account, test.account_id)
    code = f"{secrets.randbelow(1_000_000):06}"
    with use_language(recipient_language(account.language)):
        mail = _compose(account, code, target)
    db.session.rollback()
    _check_answers(target, deadline)
    if test.values is not None:
        update = SettingUpdate(EMAIL_SERVER, test.account_id, now_ms, test.source)
        change_setting(update, json.dumps(dict(test.values)))
    with transaction():
        setup_state.remember(_CODE, now_ms + _CODE_LIFETIME_MS, _digest(code, _fingerprints(target)[0]))
    _send(mail, target, deadline)
    return mail.to


def confirm_arrival(code: str, now_ms: int) -> None:
    """Raises `InvalidInput` for `code`."""
    prints, typed = _fingerprints(settings()), "".join(code.split())
    with transaction():
        if not any(setup_state.take(_CODE, _digest(typed, each), now_ms) for each in prints):
            message = _("This is not the code of the latest test email. Look for a newer one, or send another.")
            raise InvalidInput({"code": message})
        setup_state.remember(_PROVED, now_ms, prints[0])


def is_proved() -> bool:
    """Whether a test email has arrived through the mail server and from the sender that are set now."""
    row = setup_state.remembered().get(_PROVED)
    return row is not None and any(hmac.compare_digest(row.value, each) for each in _fingerprints(settings()))


def is_code_expected(now_ms: int) -> bool:
    row = setup_state.remembered().get(_CODE)
    return row is not None and row.at_ms > now_ms


def is_server_fixed() -> bool:
    """Whether an environment variable names the mail server."""
    return is_fixed(EMAIL_SERVER)


def _target(test: EmailTest) -> Settings:
    """The settings as they will be."""
    if test.values is None:
        return settings()
    value = configuration(EMAIL_SERVER).parse(EMAIL_SERVER, json.dumps(dict(test.values)))
    return completed(settings(), {EMAIL_SERVER: value})


def _check_answers(target: Settings, deadline: float) -> None:
    try:
        probe = within(deadline - time.monotonic(), lambda: probe_smtp(target.smtp_url, target.mail_from))
    except OutOfTime as error:
        raise InvalidInput({"Host": _silence()}) from error
    if probe.failed_step is not None:
        raise InvalidInput(_explain(probe))


def _explain(probe: SmtpProbe) -> dict[str, str]:
    field, sentence = _FAILURES[probe.failed_step or "connect"]
    return {field: _(sentence, message=_(probe.message).rstrip("."))}


def _silence() -> str:
    return _(
        "The server did not answer within %(seconds)s seconds. Check the name and the port.", seconds=f"{SECONDS:g}"
    )


def _send(mail: OutgoingEmail, target: Settings, deadline: float) -> None:
    url, sender = target.smtp_url, target.mail_from
    try:
        outcome: Outcome = within(deadline - time.monotonic(), lambda: send_mail(url, sender, mail))
    except OutOfTime as error:
        message = _("The settings are saved, but the server did not accept the test email in time. Try again.")
        raise InvalidInput({"Host": message}) from error
    if not isinstance(outcome, Accepted):
        problem = _("The settings are saved, but the server did not accept the test email.")
        raise InvalidInput({"Host": f"{problem} {_(outcome.message)}"})


def _compose(account: Account, code: str, target: Settings) -> OutgoingEmail:
    name, link = current_organisation().name, f"{target.public_url}/SysAdmin/Setup/Email?code={code}"
    lines = [
        _("This is the test email of %(organization)s.", organization=name),
        _("It has arrived. To say so, follow the link, or enter the code %(code)s in the portal.", code=code),
    ]
    button = '<a href="{}">{}</a>'.format(escape(link), escape(_("Confirm that it arrived")))
    paragraphs = [*map(escape, lines), button]
    return OutgoingEmail(
        to=account.email,
        recipient_name=account.name,
        subject=_("Test email of %(organization)s", organization=name),
        text="\n\n".join([*lines, link]) + "\n",
        html="".join(f"<p>{line}</p>" for line in paragraphs),
        message_id=make_msgid(domain=sender_domain(target.mail_from)),
    )


def _digest(code: str, fingerprint: str) -> str:
    return hashlib.sha256(f"{code} {fingerprint}".encode()).hexdigest()


def _fingerprints(target: Settings) -> list[str]:
    """Of the server and the sender, from which nobody learns the password: by the newest key, then by older ones."""
    text = f"setup {target.smtp_url} {target.mail_from}".encode()
    return [hmac.new(key.encode(), text, hashlib.sha256).hexdigest() for key in target.secret_keys]
