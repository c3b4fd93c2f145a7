"""The form for one setting, as fields or as text. Both follow the same rules, and neither displays a secret."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from flask import request

from portal.core.errors import InvalidInput
from portal.core.rules import text_input
from portal.core.rules.setting_error import SettingError
from portal.core.rules.setting_schema import SettingField, SettingSchema, parse_json_object
from portal.messages.rules.message_modes import CHANNEL_LABELS
from portal.settings import setting_changes
from portal.settings.rules.app_config import DEFINITIONS, SettingDefinition
from portal.settings.rules.configuration import Configuration
from portal.settings.setting_changes import InvalidSetting, LiveConfirmationRequired, SettingUpdate
from portal.web.request_input import form_code, form_text
from portal.web.template_filters import current_time_zone, format_relative_time

_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
EXPIRY_CHOICES = {
    "": "Never, until somebody turns it off",
    "1": "In 1 hour",
    "4": "In 4 hours",
    "24": "In 24 hours",
    "at": "At this time:",
}
_EDITED_ELSEWHERE = "PreviousAuthToken"
_CONFLICT_MESSAGE = (
    "Somebody else changed this setting while you were editing it. Your input is kept below. "
    "Compare it with the current value, then save again."
)
_JSON_FIELD_IDS = {"confirmation": "confirmation-json", "original_value": "original_value"}
_LOCAL_FORMAT = "%Y-%m-%dT%H:%M"


@dataclass(frozen=True)
class SettingForm:
    """The content of the form. `errors` is keyed by field.

    Secrets in `secrets_to_retype` were entered in a rejected form and must be entered again. `original_value` is what
    was stored when editing began.
    """

    definition: SettingDefinition
    schema: SettingSchema | None
    fields: Mapping[str, Any]
    json_text: str
    expiry: str = ""
    expires_at: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)
    secrets_to_retype: tuple[str, ...] = ()
    original_value: str = ""

    @property
    def keys(self) -> tuple[SettingField, ...]:
        is_test = self.definition.name.startswith("Test")
        fields = self.schema.fields if self.schema else ()
        return tuple(key for key in fields if key.name != _EDITED_ELSEWHERE and not (key.live_only and is_test))


def form_from_stored(config: Configuration, name: str, now_ms: int) -> SettingForm:
    """The stored value, without secrets."""
    schema, value = config.schema(name), config.values_at(now_ms).get(name)
    expires_at_ms = config.expires_at_ms_by_name.get(name, 0)
    display_value = config.display_value(name, now_ms)
    is_object = schema is not None and isinstance(value, dict)
    return SettingForm(
        definition=DEFINITIONS[name],
        schema=schema,
        fields=_without_secrets(schema, value) if schema and isinstance(value, dict) else {"value": display_value},
        json_text=json.dumps(json.loads(display_value), indent=2, ensure_ascii=False) if is_object else display_value,
        expiry="at" if expires_at_ms > now_ms else "",
        expires_at=_local_input_value(expires_at_ms) if expires_at_ms > now_ms else "",
        original_value=_original_value(config, name),
    )


def form_from_errors(config: Configuration, name: str, now_ms: int, error: InvalidInput) -> SettingForm:
    """The rejected input and its errors, without secrets, which must be entered again."""
    form = form_from_stored(config, name, now_ms)
    if isinstance(error, LiveConfirmationRequired):
        error = InvalidInput({"confirmation": _live_confirmation_message(error, now_ms)})
    if "original_value" not in error.errors:
        form = replace(form, original_value=form_text("original_value"))
    secrets_to_retype = tuple(sorted(_submitted_secrets(form.schema) | _secrets_to_retype(form.schema)))
    form = replace(form, secrets_to_retype=secrets_to_retype)
    return _with_submitted_json(form, error) if _is_json_input() else _with_submitted_fields(form, error)


def _with_submitted_json(form: SettingForm, error: InvalidInput) -> SettingForm:
    submitted = form_text("json_text")
    json_text = form.schema.without_secrets(submitted) if form.schema else submitted
    errors = {_JSON_FIELD_IDS.get(key, "json_text"): str(error) for key in error.errors}
    return replace(form, json_text=form.json_text if json_text is None else json_text, errors=errors)


def _with_submitted_fields(form: SettingForm, error: InvalidInput) -> SettingForm:
    schema = form.schema
    return replace(
        form,
        fields=_without_secrets(schema, _submitted_fields(schema)) if schema else {"value": form_text("value")},
        errors=_errors_by_field(form, error),
        expiry=form_text("expiry"),
        expires_at=form_text("expires_at"),
    )


def save_submitted_setting(name: str, author_id: int, now_ms: int) -> int | None:
    """Returns and raises what `change_setting` does."""
    expires_at_ms = None if _is_json_input() else _expires_at_ms(name, now_ms)
    change = SettingUpdate(name, author_id, now_ms, "page", expires_at_ms, form_text("confirmation"))
    return setting_changes.change_setting(change, _submitted_text(name))


def _submitted_text(name: str) -> Callable[[Configuration], str]:
    def text(config: Configuration) -> str:
        if "original_value" in request.form and form_text("original_value") != _original_value(config, name):
            raise InvalidInput({"original_value": _CONFLICT_MESSAGE})
        schema, stored = config.schema(name), config.values.get(name)
        missing = _secrets_to_retype(schema) - _submitted_secrets(schema)
        if missing:
            problem = "enter it again, because secrets are never displayed."
            raise InvalidSetting(name, SettingError({key: f'{name}: "{key}": {problem}' for key in sorted(missing)}))
        if schema is None or _is_json_input():
            return form_text("json_text") if _is_json_input() else form_text("value")
        return json.dumps(schema.parse_form(_submitted_fields(schema), stored if isinstance(stored, dict) else {}))

    return text


def _is_json_input() -> bool:
    return form_text("input_format") == "json_text"


def _submitted_fields(schema: SettingSchema) -> dict[str, Any]:
    """A choice list counts only if its radio button "own" is on; otherwise the default applies."""
    fields: dict[str, Any] = {key.name: _submitted_field(key) for key in schema.fields if key.kind != "choice_list"}
    lists = [key.name for key in schema.fields if key.kind == "choice_list" and form_text(f"{key.name}.own")]
    return fields | {name: request.form.getlist(name) for name in lists}


def _submitted_field(key: SettingField) -> str:
    """A list has one item per line."""
    return text_input.clean_lines(form_text(key.name)).strip() if key.kind == "text_list" else form_code(key.name)


def _submitted_secrets(schema: SettingSchema | None) -> set[str]:
    if schema is None:
        return set()
    if _is_json_input():
        try:
            return schema.provided_secrets(parse_json_object("", form_text("json_text")))
        except SettingError:
            return set()
    return schema.provided_secrets(_submitted_fields(schema))


def _secrets_to_retype(schema: SettingSchema | None) -> set[str]:
    """Secrets entered in an earlier, rejected form: if left empty now, they must not silently keep the old value."""
    names = {key.name for key in schema.fields if key.is_secret} if schema else set()
    return names & set(request.form.getlist("secrets_to_retype"))


def _without_secrets(schema: SettingSchema, value: Mapping[str, Any]) -> dict[str, Any]:
    secrets = {key.name for key in schema.fields if key.is_secret}
    return {name: item for name, item in value.items() if name not in secrets}


def _errors_by_field(form: SettingForm, error: InvalidInput) -> dict[str, str]:
    """An error that belongs to no field, such as a value that is too long, goes to the first field."""
    errors = error.errors_by_key if isinstance(error, InvalidSetting) else error.errors
    names = [key.name for key in form.keys] or ["value"]
    known = (*names, "expires_at", "confirmation", "original_value")
    return {key if key in known else names[0]: message for key, message in errors.items()}


def _expires_at_ms(name: str, now_ms: int) -> int | None:
    """When the switch turns itself off, to the minute. Raises `InvalidSetting` for an invalid time."""
    expiry = form_text("expiry")
    if not DEFINITIONS[name].can_expire or form_text("value") != "true" or expiry not in EXPIRY_CHOICES or not expiry:
        return None
    if expiry != "at":
        return (now_ms + int(expiry) * _HOUR_MS) // _MINUTE_MS * _MINUTE_MS
    try:
        local = datetime.strptime(form_text("expires_at"), _LOCAL_FORMAT).replace(tzinfo=current_time_zone())
        return round(local.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        message = f"{name}: enter the end as a date and time, such as {_local_input_value(now_ms + _HOUR_MS)}."
        raise InvalidSetting(name, SettingError.for_key(message, "expires_at")) from error


def _live_confirmation_message(error: LiveConfirmationRequired, now_ms: int) -> str:
    is_now = error.live_at_ms <= now_ms
    when = "immediately" if is_now else format_relative_time(error.live_at_ms, now_ms, current_time_zone())
    labels = CHANNEL_LABELS[error.channel]
    effect = f"With this change, {labels.plural} will reach {labels.recipients} {when}."
    instruction = f"Type {setting_changes.LIVE_CONFIRMATION} to confirm."
    sentences = [effect, labels.waiting_notice(error.waiting_count), instruction]
    return " ".join(filter(None, sentences))


def _original_value(config: Configuration, name: str) -> str:
    return f"{config.display_value(name, 0)} {config.expires_at_ms_by_name.get(name, '')}"


def _local_input_value(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(current_time_zone()).strftime(_LOCAL_FORMAT)
