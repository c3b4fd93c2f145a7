"""AppConfig: read as one gateway, written one setting at a time."""

import json
import os
from typing import Any

import structlog

from portal.actions.errors import Invalid
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain import app_config, sealing
from portal.domain.app_config import DEFINITIONS, Gateway, SettingError
from portal.domain.sealing import SealError
from portal.models.gateway import AppSetting, paused_senders, resume_senders, stored_settings
from portal.models.upsert import put

_log = structlog.get_logger(__name__)


def set_setting(name: str, text: str, author_id: int | None, now_ms: int) -> None:
    """Raises `Invalid` with the setting's name as the field. A changed gateway lets paused lanes try again."""
    try:
        value = app_config.parse(name, text)
    except SettingError as error:
        raise Invalid({name: str(error)}) from error
    row = {"name": name, "value": _stored(name, value), "changed_at_ms": now_ms, "changed_by_id": author_id}
    with transaction():
        put(AppSetting, row, ["name"])
        if name.endswith(("SmsGatewayAuthentication", "SmsGatewaySettings")):
            resume_senders()


def gateway() -> Gateway:
    """The gateway as the settings stand at this moment."""
    return app_config.gateway_from(values())


def values() -> dict[str, Any]:
    """What cannot be unsealed counts as not set: pages stay up, and the strip says that the gateway is not set up."""
    found: dict[str, Any] = {}
    for name, row in stored_settings().items():
        try:
            found[name] = _read(row)
        except SealError as error:
            _log.error("a setting cannot be read", setting=name, why=str(error))
    return found


def shown() -> dict[str, str]:
    """Every setting as it may be shown, in the order of the table; a secret by its last four characters.

    Raises `SealError` for a secret that cannot be read.
    """
    stored = {name: _read(row) for name, row in stored_settings().items()}
    return {name: app_config.shown(name, stored.get(name)) for name in DEFINITIONS}


def signing_tokens() -> list[str]:
    """Tokens that may have signed a webhook: the live ones; test credentials never call us (TWILIO.md 3)."""
    live = app_config.gateway_from({**values(), "EnableSmsTestMode": False}).credentials
    return list(live.signing_tokens) if live else []


def paused_lanes() -> list[tuple[str, str]]:
    return [(sender.number, sender.paused_reason) for sender in paused_senders()]


def _stored(name: str, value: Any) -> str:
    text = json.dumps(value)
    if not DEFINITIONS[name].secret:
        return text
    return sealing.seal(text, name, settings().encryption_keys[0], os.urandom(12))


def _read(row: AppSetting) -> Any:
    text = row.value
    if DEFINITIONS[row.name].secret:
        text = sealing.unseal(text, row.name, settings().encryption_keys)
    return json.loads(text)
