"""The forms for one setting, as fields or as text. Both follow the same rules, and neither displays a secret."""

import json
from datetime import UTC, datetime
from typing import Any

from wtforms import Field, HiddenField, PasswordField, RadioField, StringField, TextAreaField

from portal.core.errors import InvalidInput
from portal.core.rules.setting_error import SettingError, key_label
from portal.core.rules.setting_schema import SettingField, SettingSchema, parse_json_object
from portal.core.rules.text_input import clean_code
from portal.core.translation import N_, lazy_gettext
from portal.core.translation import gettext as _
from portal.messages.rules.message_modes import CHANNEL_LABELS, waiting_notice
from portal.settings.rules.app_config import DEFINITIONS, SettingDefinition
from portal.settings.rules.configuration import Configuration
from portal.settings.setting_changes import LiveConfirmationRequired, live_instruction
from portal.web.base_form import PortalForm, words
from portal.web.sysadmin.setting_fields import ListField, key_field, value_field
from portal.web.time_display import current_time_zone, describe_time

_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
_EXPIRY_CHOICES = {
    "": lazy_gettext("Never"),
    "1": lazy_gettext("In 1 hour"),
    "4": lazy_gettext("In 4 hours"),
    "24": lazy_gettext("In 24 hours"),
    "at": lazy_gettext("At this time:"),
}
_EDITED_ELSEWHERE = "PreviousAuthToken"
_CONFLICT_MESSAGE = N_(
    "Somebody else changed this setting while you were editing it. Your input is kept below. "
    "Compare it with the current value, then save again."
)
_OVERRIDE_TARGETS = {"EnableSmsOverrideNumber": "SmsOverrideNumber", "EnableEmailOverride": "EmailOverrideAddress"}
_MISSING_TARGETS = {
    "SmsOverrideNumber": N_("Enter the override number. Without it, texts would have nowhere to go."),
    "EmailOverrideAddress": N_("Enter the override address. Without it, emails would have nowhere to go."),
}
_LOCAL_FORMAT = "%Y-%m-%dT%H:%M"


class TokenForm(PortalForm):
    token = PasswordField(lazy_gettext("New auth token"), filters=[clean_code])


class SettingForm(PortalForm):
    """A subclass adds a field for each of the `keys` of a JSON setting; other settings have a `value`.

    Secrets in `secrets_to_retype` were entered in a rejected form: if left empty now, they must not silently keep the
    old value. `original_value` is what was stored when editing began.
    """

    input_format, original_value, secrets_to_retype = HiddenField(), HiddenField(), ListField()
    value, json_text, confirmation = StringField(), TextAreaField(), StringField()
    expiry, expires_at = RadioField(choices=words(_EXPIRY_CHOICES), validate_choice=False), StringField()
    target = StringField(filters=[clean_code])
    definition: SettingDefinition
    schema: SettingSchema | None
    keys: tuple[SettingField, ...]

    target_definition: SettingDefinition | None
    """The setting that an override needs and that is not set yet; `target` is its value."""

    @property
    def is_json_input(self) -> bool:
        return bool(self.input_format.data == "json_text")

    def entered_text(self, config: Configuration) -> str:
        """The text of the setting. Raises `InvalidInput` after a conflicting change, or if a secret is missing."""
        name = self.definition.name
        if self.original_value.raw_data and self.original_value.data != _original_value(config, name):
            raise InvalidInput({"original_value": _(_CONFLICT_MESSAGE)})
        if missing := self._secrets_to_retype() - self._entered_secrets():
            raise SettingError(name, {key: _retype_message(name, key) for key in sorted(missing)})
        if self.is_json_input:
            return str(self.json_text.data)
        if self.schema is None:
            return str(self.value.data)
        return json.dumps(self.schema.parse_form(self._key_values(), config.json_object(name)))

    def expires_at_ms(self, now_ms: int) -> int | None:
        """When the switch turns itself off, to the minute. Raises `SettingError` for an invalid time."""
        expiry, can_expire = self.expiry.data, self.definition.can_expire and self.value.data == "true"
        if self.is_json_input or not can_expire or not expiry or expiry not in _EXPIRY_CHOICES:
            return None
        if expiry != "at":
            return (now_ms + int(expiry) * _HOUR_MS) // _MINUTE_MS * _MINUTE_MS
        try:
            local = datetime.strptime(self.expires_at.data, _LOCAL_FORMAT).replace(tzinfo=current_time_zone())
            return round(local.timestamp() * 1000)
        except (ValueError, OverflowError) as error:
            name, example = self.definition.name, _local_input_value(now_ms + _HOUR_MS)
            message = _("%(name)s: enter the end as a date and time, such as %(example)s.", name=name, example=example)
            raise SettingError.for_key(name, message, "expires_at") from error

    def entered_target(self) -> tuple[str, str] | None:
        """Name and value of the setting to store before the switch. Raises `InvalidInput` if it is missing."""
        switch = self.json_text if self.is_json_input else self.value
        if self.target_definition is None or clean_code(switch.data).lower() != "true":
            return None
        name = self.target_definition.name
        if self.is_json_input:
            message = _("Set %(name)s first. Without it, messages would have nowhere to go.", name=name)
            raise InvalidInput({"json_text": message})
        if not self.target.data:
            raise InvalidInput({"target": _(_MISSING_TARGETS[name])})
        return name, str(self.target.data)

    def reject(self, error: InvalidInput, config: Configuration, now_ms: int) -> None:
        """Show the input again with its errors, without secrets, which must be entered again."""
        errors = error.errors if self.is_json_input else error.errors_by_key
        if isinstance(error, LiveConfirmationRequired):
            errors = {"confirmation": _live_confirmation_message(error, now_ms)}
        if "original_value" in errors:
            self.original_value.data = _original_value(config, self.definition.name)
        self.secrets_to_retype.data = sorted(self._entered_secrets() | self._secrets_to_retype())
        for key, message in errors.items():
            self._field_at_fault(key).errors = [message]
        if self.schema:
            json_text = self.schema.without_secrets(self.json_text.data) if self.is_json_input else None
            self.json_text.data = _stored_text(config, self.definition.name, now_ms) if json_text is None else json_text

    def _field_at_fault(self, key: str) -> Field:
        """An error that belongs to no field, such as a value that is too long, goes to the first field."""
        if self.is_json_input:
            return self[key if key in ("confirmation", "original_value") else "json_text"]
        return self[key if key in self else self.keys[0].name if self.keys else "value"]

    def _key_values(self) -> dict[str, Any]:
        """A choice list counts only if its radio button "own" is on; otherwise the default applies."""
        chosen = [key.name for key in self.keys if key.kind != "choice_list" or self[f"{key.name}.own"].data]
        return {name: self[name].data for name in chosen}

    def _entered_secrets(self) -> set[str]:
        if self.schema is None:
            return set()
        try:
            value = parse_json_object("", self.json_text.data) if self.is_json_input else self._key_values()
        except SettingError:
            return set()
        return self.schema.provided_secrets(value)

    def _secrets_to_retype(self) -> set[str]:
        return self.schema.secrets & set(self.secrets_to_retype.data or ()) if self.schema else set()


def setting_form(config: Configuration, name: str, now_ms: int, is_submitted: bool = False) -> SettingForm:
    """The stored value, or what was submitted in its place."""
    definition, schema = DEFINITIONS[name], config.schema(name)
    keys = tuple(key for key in schema.fields if _is_editable(key, name)) if schema else ()
    fields = {"value": value_field(definition, config.provider_schemas)} | {key.name: key_field(key) for key in keys}
    fields |= {f"{key.name}.own": StringField() for key in keys if key.kind == "choice_list"}
    data = {"original_value": _original_value(config, name), "json_text": _stored_text(config, name, now_ms)}
    if not is_submitted or SettingForm().is_json_input:
        data |= _stored_fields(config, name, keys, now_ms)
    options: dict[str, Any] = {} if is_submitted else {"formdata": None}
    form: SettingForm = type("SettingFields", (SettingForm,), fields)(data=data, **options)
    form.definition, form.schema, form.keys = definition, schema, keys
    target = _OVERRIDE_TARGETS.get(name, "")
    form.target_definition = DEFINITIONS[target] if target and not config.values.get(target) else None
    return form


def _is_editable(key: SettingField, name: str) -> bool:
    return key.name != _EDITED_ELSEWHERE and not (key.live_only and name.startswith("Test"))


def _stored_fields(config: Configuration, name: str, keys: tuple[SettingField, ...], now_ms: int) -> dict[str, Any]:
    """Without secrets."""
    expires_at_ms, stored = config.expires_at_ms_by_name.get(name, 0), config.json_object(name)
    unset = "false" if DEFINITIONS[name].kind == "flag" else ""
    data: dict[str, Any] = {"value": config.display_value(name, now_ms) or unset}
    if expires_at_ms > now_ms:
        data |= {"expiry": "at", "expires_at": _local_input_value(expires_at_ms)}
    for key in keys:
        item = "" if key.is_secret else stored.get(key.name, "")
        if key.kind == "choice_list":
            data |= {key.name: item, f"{key.name}.own": "yes" if isinstance(item, list) else ""}
        else:
            data[key.name] = "\n".join(map(str, item)) if isinstance(item, list) else str(item)
    return data


def _stored_text(config: Configuration, name: str, now_ms: int) -> str:
    """JSON on several lines."""
    text = config.display_value(name, now_ms)
    return json.dumps(json.loads(text), indent=2, ensure_ascii=False) if text and config.json_object(name) else text


def _live_confirmation_message(error: LiveConfirmationRequired, now_ms: int) -> str:
    labels = CHANNEL_LABELS[error.channel]
    effect = _(labels.after_change)
    if error.live_at_ms > now_ms:
        effect = _(labels.after_change_at, when=describe_time(error.live_at_ms, now_ms))
    notice = waiting_notice(error.channel, error.waiting_count)
    return " ".join(filter(None, [effect, notice, live_instruction()]))


def _retype_message(name: str, key: str) -> str:
    return _("%(key)s: enter it again, because secrets are never displayed.", key=key_label(name, key))


def _original_value(config: Configuration, name: str) -> str:
    return f"{config.display_value(name, 0)} {config.expires_at_ms_by_name.get(name, '')}"


def _local_input_value(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(current_time_zone()).strftime(_LOCAL_FORMAT)
