"""Connect the portal with a Twilio account: credentials, the number, and the addresses that Twilio calls (ADR 50)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.core.audit_log import record_audit_entry
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.rules.phone import PhoneError, to_e164
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.gateways.rules.twilio_resources import is_short_code
from portal.gateways.twilio_account import TwilioAccount
from portal.gateways.twilio_http import RequestFailed
from portal.operations import diagnostics, twilio_snapshot
from portal.operations.rules.account_checks import describe_api_error
from portal.operations.rules.checks import sender_label
from portal.settings import app_settings
from portal.settings.rules.configuration import Configuration
from portal.settings.setting_changes import SettingUpdate, change_setting
from portal.setup.tables import setup_state
from portal.setup.time_limit import OutOfTime, within

GATEWAY, CREDENTIALS, SENDER = "SmsGatewayType", "SmsGatewayAuthentication", "SmsGatewaySettings"
_WEBHOOKS = "webhooks"
_SECONDS = 9.0


@dataclass(frozen=True)
class TwilioInput:
    """An empty `auth_token` keeps the stored one; an empty `number_type` is inferred from the number."""

    account_sid: str
    auth_token: str
    from_number: str
    number_type: str = ""


def connect(entered: TwilioInput, actor_id: int | None, now_ms: int, source: str = "page") -> None:
    """Ask Twilio whether this is right, then save it.

    Raises `InvalidInput`, keyed by the keys of the settings, and `LiveConfirmationRequired` if texts would go live.
    """
    config = app_settings.configuration().with_value(GATEWAY, "Twilio")
    texts = _texts(entered, config)
    config = config.with_value(CREDENTIALS, config.parse(CREDENTIALS, texts[CREDENTIALS]))
    config = config.with_value(SENDER, config.parse(SENDER, texts[SENDER]))
    db.session.rollback()
    _ask_twilio(config)
    for name, text in texts.items():
        change_setting(
            SettingUpdate(name, actor_id, now_ms, source, confirmation="" if source == "page" else None), text
        )


def set_webhooks(actor_id: int | None, now_ms: int) -> str:
    """Set both of our addresses at Twilio, and remember for which number. Raises `ActionRefused`."""
    message = diagnostics.set_webhooks()
    with transaction():
        setup_state.remember(_WEBHOOKS, now_ms, _fingerprint())
        record_audit_entry("webhooks_set", "Twilio", actor_id, now_ms)
    return message


def connection_state() -> tuple[bool, str]:
    """Whether everything is set, and a sentence about it."""
    gateway = app_settings.live_gateway()
    if gateway.credentials is None or gateway.sender is None:
        return False, _("The account or the number is missing.")
    if not are_webhooks_set():
        return False, _("The addresses that Twilio calls have not been set yet.")
    number = gateway.sender.from_number
    label = sender_label(number) if number else gateway.sender.messaging_service_sid
    return True, _("Texts come from %(number)s.", number=label)


def are_webhooks_set() -> bool:
    """By the portal, for the account, number and public address that are set now."""
    row = setup_state.remembered().get(_WEBHOOKS)
    return row is not None and row.value == _fingerprint()


def _texts(entered: TwilioInput, config: Configuration) -> dict[str, str]:
    """The settings as text. Keys that the form does not show keep their values."""
    credentials: dict[str, Any] = {**config.json_object(CREDENTIALS), "AccountSid": entered.account_sid}
    if entered.auth_token or "AuthToken" in credentials:
        credentials["AuthToken"] = entered.auth_token or credentials["AuthToken"]
    sender: dict[str, Any] = {**config.json_object(SENDER), "FromNumber": _e164(entered.from_number)}
    sender.pop("NumberType", None)
    if entered.number_type:
        sender["NumberType"] = entered.number_type
    return {GATEWAY: "Twilio", CREDENTIALS: json.dumps(credentials), SENDER: json.dumps(sender)}


def _e164(text: str) -> str:
    """The number as Twilio names it; unchanged if it is none, for the setting's rules to refuse."""
    try:
        return text if is_short_code(text) else to_e164(text, settings().region)
    except PhoneError:
        return text


def _ask_twilio(config: Configuration) -> None:
    credentials, sender = config.credentials(CREDENTIALS), config.sender(SENDER)
    if credentials is None or sender is None:
        raise InvalidInput({"AccountSid": _("These settings cannot be used together.")})
    account, number = TwilioAccount(settings().twilio_api_url, credentials), sender.from_number
    try:
        errors = within(_SECONDS, lambda: _account_errors(account, number))
    except OutOfTime:
        errors = {"AccountSid": "no answer"}
    if errors:
        raise InvalidInput({key: _describe(key, problem) for key, problem in errors.items()})


def _account_errors(account: TwilioAccount, number: str) -> Mapping[str, Any]:
    try:
        is_own = account.find_own_number(number) is not None
    except RequestFailed as error:
        return {"AuthToken" if error.error.is_auth_error else "AccountSid": error.error}
    return {} if is_own else {"FromNumber": number}


def _describe(key: str, problem: Any) -> str:
    if key == "AuthToken":
        return _("Twilio does not accept this account and token. Copy both from the first page of Twilio’s console.")
    if key == "FromNumber":
        return _("This number is not on the account. Twilio’s console lists those that are, under Phone Numbers.")
    if problem == "no answer":
        return _("Twilio did not answer. Try again in a minute.")
    return describe_api_error(problem)


def _fingerprint() -> str:
    """What the addresses at Twilio depend on."""
    gateway = app_settings.live_gateway()
    parts = [
        *twilio_snapshot.webhook_urls(),
        gateway.credentials.account_sid if gateway.credentials else "",
        *([gateway.sender.messaging_service_sid, *gateway.sender.from_numbers] if gateway.sender else []),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
