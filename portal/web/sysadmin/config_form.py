"""The form of one setting: by fields or as text, with the same rules; secrets come in and never go out again."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from flask import request

from portal.core.errors import InvalidInput
from portal.core.rules import text_input
from portal.core.rules.setting_error import SettingError
from portal.core.rules.setting_schema import SettingField, SettingSchema
from portal.messages.rules.message_modes import CHANNEL_LABELS
from portal.settings.app_settings import (
    LIVE_CONFIRMATION,
    InvalidSetting,
    LiveConfirmationRequired,
    SettingUpdate,
    change_setting,
)
from portal.settings.rules.app_config import DEFINITIONS, SettingDefinition
from portal.settings.rules.configuration import Configuration
from portal.web.request_input import form_code, form_text
from portal.web.template_filters import current_time_zone, format_relative_time

_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
EXPIRY_CHOICES = {
    "": "When somebody switches it off",
    "1": "In 1 hour",
    "4": "In 4 hours",
    "24": "In 24 hours",
    "at": "At this time:",
}
_EDITED_ELSEWHERE = "PreviousAuthToken"
_CONFLICT_MESSAGE = (
    "Somebody changed this setting while you were typing. What you typed is kept below: "
    "compare it with the setting as it is now, then save again."
)
_RAW_FIELDS = {"confirmation": "confirmation-raw", "original_value": "original_value"}
_LOCAL_FORMAT = "%Y-%m-%dT%H:%M"


@dataclass(frozen=True)
class SettingForm:
    """What stands in the form. `errors` are by field; the secrets named by `secrets_to_retype` were typed and not kept.

    `seen` is what was stored when somebody began to type.
    """

    definition: SettingDefinition
    shape: SettingSchema | None
    fields: Mapping[str, Any]
    json_text: str
    expiry: str = ""
    expires_at: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)
    secrets_to_retype: tuple[str, ...] = ()
    original_value: str = ""

    @property
    def keys(self) -> tuple[SettingField, ...]:
        rehearses = self.definition.name.startswith("Test")
        known = self.shape.fields if self.shape else ()
        return tuple(key for key in known if key.name != _EDITED_ELSEWHERE and not (key.live_only and rehearses))


def form_from_stored(found: Configuration, name: str, now_ms: int) -> SettingForm:
    """As one finds it: what is stored, without its secrets."""
    shape, value, end_ms = (
        found.schema(name),
        found.values_at(now_ms).get(name),
        found.expires_at_ms_by_name.get(name, 0),
    )
    shown = found.display_value(name, now_ms)
    is_object = shape is not None and isinstance(value, dict)
    return SettingForm(
        definition=DEFINITIONS[name],
        shape=shape,
        fields=_without_secrets(shape, value) if shape and isinstance(value, dict) else {"value": shown},
        json_text=json.dumps(json.loads(shown), indent=2, ensure_ascii=False) if is_object else shown,
        expiry="at" if end_ms > now_ms else "",
        expires_at=_local_input_value(end_ms) if end_ms > now_ms else "",
        original_value=_original_value(found, name),
    )


def form_from_errors(found: Configuration, name: str, now_ms: int, error: InvalidInput) -> SettingForm:
    """What was typed, with what is wrong; but no secret is shown back, so it is asked for again."""
    form = form_from_stored(found, name, now_ms)
    if isinstance(error, LiveConfirmationRequired):
        error = InvalidInput({"confirmation": _live_confirmation_message(error, now_ms)})
    if "original_value" not in error.errors:
        form = replace(form, original_value=form_text("original_value"))
    secrets_to_retype = tuple(sorted(_submitted_secrets(form.shape) | _secrets_to_retype(form.shape)))
    if form_text("input_format") == "json_text":
        json_text = form.shape.without_secrets(form_text("json_text")) if form.shape else form_text("json_text")
        errors = {_RAW_FIELDS.get(key, "json_text"): str(error) for key in error.errors}
        return replace(
            form,
            json_text=form.json_text if json_text is None else json_text,
            errors=errors,
            secrets_to_retype=secrets_to_retype,
        )
    fields = (
        _without_secrets(form.shape, _submitted_fields(form.shape)) if form.shape else {"value": form_text("value")}
    )
    errors = _errors_by_field(form, error)
    return replace(
        form,
        fields=fields,
        errors=errors,
        expiry=form_text("expiry"),
        expires_at=form_text("expires_at"),
        secrets_to_retype=secrets_to_retype,
    )


def save_submitted_setting(name: str, author_id: int, now_ms: int) -> int | None:
    """When texts (or emails) reach people by it. Raises `InvalidSetting`, `LiveConfirmationRequired`."""
    until_ms = _expires_at_ms(name, now_ms) if form_text("input_format") != "json_text" else None
    change = SettingUpdate(name, author_id, now_ms, "page", until_ms, form_text("confirmation"))
    return change_setting(change, _submitted_text(name))


def _submitted_text(name: str) -> str | Callable[[Configuration], str]:
    def written(found: Configuration) -> str:
        if "original_value" in request.form and form_text("original_value") != _original_value(found, name):
            raise InvalidInput({"original_value": _CONFLICT_MESSAGE})
        shape, stored = found.schema(name), found.values.get(name)
        missing = _secrets_to_retype(shape) - _submitted_secrets(shape)
        if missing:
            words = "type it again, since secrets are not shown back."
            raise InvalidSetting(name, SettingError({key: f'{name}: "{key}": {words}' for key in sorted(missing)}))
        if shape is None or form_text("input_format") == "json_text":
            return form_text("json_text") if form_text("input_format") == "json_text" else form_text("value")
        return json.dumps(shape.parse_form(_submitted_fields(shape), stored if isinstance(stored, dict) else {}))

    return written


def _submitted_fields(shape: SettingSchema) -> dict[str, Any]:
    """A list of words only where somebody asked for a list of their own."""
    found: dict[str, Any] = {key.name: _submitted_field(key) for key in shape.fields if key.kind != "choice_list"}
    lists = [key.name for key in shape.fields if key.kind == "choice_list" and form_text(f"{key.name}.own")]
    return found | {name: request.form.getlist(name) for name in lists}


def _submitted_field(key: SettingField) -> str:
    """Lists are typed one on a line."""
    return text_input.clean_lines(form_text(key.name)).strip() if key.kind == "text_list" else form_code(key.name)


def _submitted_secrets(shape: SettingSchema | None) -> set[str]:
    if shape is None:
        return set()
    return (
        shape.provided_secrets_in_json(form_text("json_text"))
        if form_text("input_format") == "json_text"
        else shape.provided_secrets(_submitted_fields(shape))
    )


def _secrets_to_retype(shape: SettingSchema | None) -> set[str]:
    """Secrets that were typed before, in a form that was refused: empty must not mean the old one then."""
    names = {key.name for key in shape.fields if key.is_secret} if shape else set()
    return names & set(request.form.getlist("secrets_to_retype"))


def _without_secrets(shape: SettingSchema, value: Mapping[str, Any]) -> dict[str, Any]:
    secrets = {key.name for key in shape.fields if key.is_secret}
    return {name: item for name, item in value.items() if name not in secrets}


def _errors_by_field(form: SettingForm, error: InvalidInput) -> dict[str, str]:
    """A sentence about no field of the form, such as one that is too long, stands at the first."""
    problems = error.errors_by_key if isinstance(error, InvalidSetting) else error.errors
    names = [key.name for key in form.keys] or ["value"]
    known = (*names, "until", "confirmation", "original_value")
    return {key if key in known else names[0]: words for key, words in problems.items()}


def _expires_at_ms(name: str, now_ms: int) -> int | None:
    """When the switch ends by itself, to the minute. Raises `InvalidSetting` for a time that is none."""
    expiry = form_text("expiry")
    if not DEFINITIONS[name].can_expire or form_text("value") != "true" or expiry not in EXPIRY_CHOICES or not expiry:
        return None
    if expiry != "at":
        return (now_ms + int(expiry) * _HOUR_MS) // _MINUTE_MS * _MINUTE_MS
    try:
        moment = datetime.strptime(form_text("expires_at"), _LOCAL_FORMAT).replace(tzinfo=current_time_zone())
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        words = f"{name}: the end must be a date and a time, such as {_local_input_value(now_ms + _HOUR_MS)}."
        raise InvalidSetting(name, SettingError.for_key(words, "until")) from error


def _live_confirmation_message(error: LiveConfirmationRequired, now_ms: int) -> str:
    soon = error.live_at_ms <= now_ms
    when = "at once" if soon else format_relative_time(error.live_at_ms, now_ms, current_time_zone())
    reach = CHANNEL_LABELS[error.channel]
    words = [f"With this, {reach.plural} reach {reach.recipients} {when}.", reach.waiting_notice(error.waiting_count)]
    return " ".join(filter(None, [*words, f"Type {LIVE_CONFIRMATION} to let them."]))


def _original_value(found: Configuration, name: str) -> str:
    return f"{found.display_value(name, 0)} {found.expires_at_ms_by_name.get(name, '')}"


def _local_input_value(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(current_time_zone()).strftime(_LOCAL_FORMAT)
