"""The schema of a JSON setting: its fields, their rules, and the rules across fields.

The schema parses input, generates the form, and masks secrets for display.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from portal.core.rules.setting_error import SettingError, key_label, quote_input
from portal.core.translation import N_
from portal.core.translation import gettext as _

MASK = "••••"
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?\Z")
_MAX_FULLY_MASKED_LENGTH = 8
_MAX_TEXT_LENGTH = 200
_MAX_LIST_ITEMS = 20
_MAX_SETTING_LENGTH = 10_000
_SYNTAX_PROBLEMS = {
    "Expecting value": N_("a value is missing"),
    "Expecting property name enclosed in double quotes": N_("a key in double quotes is missing"),
    "Expecting ',' delimiter": N_("a comma or a closing bracket is missing"),
    "Expecting ':' delimiter": N_("a colon is missing"),
    "Extra data": N_("there is text after the end of the JSON"),
    "Illegal trailing comma before end of array": N_("remove the comma before ]"),
    "Illegal trailing comma before end of object": N_("remove the comma before }"),
    "Invalid \\escape": N_("a backslash is followed by a wrong character"),
    "Invalid \\uXXXX escape": N_("\\u is not followed by four hexadecimal digits"),
    "Invalid control character at": N_("a line break or control character is inside quotes"),
    "Unterminated string starting at": N_("a closing quotation mark is missing"),
}
"""By what Python's JSON parser says."""


@dataclass(frozen=True)
class SettingField:
    """A key of the setting and the form field that edits it.

    `kind` is text, secret, number, choice, text_list (any texts) or choice_list (a list of `choices`). `check_value`
    returns a sentence about a value that breaks a rule, or "". It gets the name of the key for that sentence, and a
    value of the right kind. A secret is kept only with the key in `required_with`.
    """

    name: str
    label: str
    help: str = ""
    kind: str = "text"
    choices: Mapping[str, str] = field(default_factory=dict)
    check_value: Callable[[str, Any], str] = lambda _key, _value: ""
    required_with: str = ""
    live_only: bool = False
    """Not used in test mode."""
    empty_choice: str = N_("Not set")
    """What a choice is if none is made."""

    @property
    def is_secret(self) -> bool:
        return self.kind == "secret"

    def error(self, setting: str, value: Any) -> str:
        """A sentence about the value of this key of the setting; "" if it is valid."""
        key = key_label(setting, self.name)
        return self._kind_error(key, value) or self.check_value(key, value)

    def _kind_error(self, key: str, value: Any) -> str:
        if self.kind == "number":
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and value == value
            return "" if is_number else _("%(key)s must be a number.", key=key)
        if self.kind == "text_list":
            return _text_list_error(key, value)
        if self.kind == "choice_list":
            return self._choice_list_error(key, value)
        if error := _text_error(key, value):
            return error
        if self.kind == "choice" and value not in self.choices:
            return _("%(key)s must be one of %(choices)s.", key=key, choices=", ".join(self.choices))
        if self.is_secret and not value.isascii():
            return _("%(key)s must be the secret itself, or empty to keep the stored one.", key=key)
        return ""

    def _choice_list_error(self, key: str, value: Any) -> str:
        if isinstance(value, list) and all(isinstance(item, str) and item in self.choices for item in value):
            return ""
        return _("%(key)s must be a list of some of %(choices)s, or [].", key=key, choices=", ".join(self.choices))


@dataclass(frozen=True)
class SettingSchema:
    """`cross_field_rules` gets the setting's name and value, and returns sentences by key about several keys."""

    fields: tuple[SettingField, ...]
    cross_field_rules: Callable[[str, Mapping[str, Any]], dict[str, str]] = lambda _name, _value: {}
    derived_values: Callable[[Mapping[str, Any]], dict[str, str]] = lambda _value: {}
    """Describes the defaults of keys that a valid value leaves out, by key."""

    @property
    def secrets(self) -> set[str]:
        return {key.name for key in self.fields if key.is_secret}

    def parse(self, name: str, text: str, stored: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
        """Parse JSON. A secret that is empty or masked keeps its stored value. Raises `SettingError`."""
        value = parse_json_object(name, text)
        for key in self.secrets & stored.keys():
            if value.get(key) in ("", mask_secret(str(stored[key]))):
                value[key] = stored[key]
        self.check(name, value)
        return value

    def check(self, name: str, value: Mapping[str, Any]) -> None:
        """Raises `SettingError` with a sentence for every invalid key."""
        fields = {field.name: field for field in self.fields}
        errors: dict[str, str] = {}
        for key, item in value.items():
            if key not in fields:
                errors[key] = _(
                    "%(name)s: there is no key %(key)s. The keys are %(keys)s.",
                    name=name,
                    key=quote_input(key),
                    keys=", ".join(fields),
                )
            elif error := fields[key].error(name, item):
                errors[key] = error
        if errors := errors or self.cross_field_rules(name, value):
            raise SettingError(name, errors)

    def is_valid(self, value: Any) -> bool:
        """Whether a stored value can be used: it may have been written for another provider."""
        try:
            self.check("", value if isinstance(value, dict) else {"": value})
        except SettingError:
            return False
        return True

    def masked_values(self, value: Mapping[str, Any]) -> dict[str, Any]:
        return self._hide_secrets(value, lambda _name, item: mask_secret(str(item)))

    def masked_for_history(self, value: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
        """The value for the history: of a secret it only says whether it differs from the `other` value's."""
        return self._hide_secrets(value, lambda name, item: MASK if item == other.get(name) else "changed")

    def without_secrets(self, text: str) -> str | None:
        """The JSON input without its secrets, to show it again; None if it cannot be parsed."""
        if not self.secrets:
            return text
        try:
            return json.dumps(self._hide_secrets(parse_json_object("", text), lambda _name, _item: ""))
        except SettingError:
            return None

    def _hide_secrets(self, value: Mapping[str, Any], hidden: Callable[[str, Any], str]) -> dict[str, Any]:
        """An unknown key may hold a secret, so it is hidden too."""
        public = {key.name for key in self.fields} - self.secrets
        return {name: item if name in public else hidden(name, item) for name, item in value.items()}

    def parse_form(self, fields: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
        """The value from form fields: text by key, or a list for a list of choices. Empty fields are left out."""
        value: dict[str, Any] = {}
        for key in self.fields:
            raw = fields.get(key.name)
            if isinstance(raw, list) or raw:
                value[key.name] = _FORM_PARSERS.get(key.kind, lambda raw: raw)(raw)
            elif key.is_secret and key.name in stored and (not key.required_with or fields.get(key.required_with)):
                value[key.name] = ""
        return value

    def provided_secrets(self, value: Mapping[str, Any]) -> set[str]:
        """The keys of secrets that are neither empty nor masked."""
        return {name for name in self.secrets if isinstance(item := value.get(name), str) and item and MASK not in item}


def mask_secret(secret: str) -> str:
    return f"{MASK}{secret[-4:] if len(secret) > _MAX_FULLY_MASKED_LENGTH else ''}"


def parse_json_object(name: str, text: str) -> dict[str, Any]:
    """Raises `SettingError`."""
    if len(text) > _MAX_SETTING_LENGTH:
        message = _("%(name)s is too long: at most %(limit)s characters.", name=name, limit=_MAX_SETTING_LENGTH)
        raise SettingError.for_key(name, message)
    try:
        value = json.loads(text, object_pairs_hook=_reject_duplicate_keys)
    except json.JSONDecodeError as error:
        raise SettingError.for_key(name, _syntax_message(name, error)) from error
    except _DuplicateKeyError as error:
        message = _("%(name)s has the key %(key)s twice.", name=name, key=quote_input(str(error)))
        raise SettingError.for_key(name, message, str(error)) from error
    except (ValueError, RecursionError) as error:
        message = _("%(name)s is not valid JSON: it is nested too deeply, or it has an invalid number.", name=name)
        raise SettingError.for_key(name, message) from error
    if not isinstance(value, dict):
        raise SettingError.for_key(name, _("%(name)s must be a JSON object such as {...}.", name=name))
    return value


def _syntax_message(name: str, error: json.JSONDecodeError) -> str:
    return _(
        "%(name)s is not valid JSON (line %(line)s, column %(column)s): %(problem)s.",
        name=name,
        problem=_(_SYNTAX_PROBLEMS.get(error.msg, error.msg)),
        line=error.lineno,
        column=error.colno,
    )


class _DuplicateKeyError(ValueError):
    """The message is the key."""


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise _DuplicateKeyError(key)
        value[key] = item
    return value


def _split_list(raw: Any) -> list[str]:
    """Items are separated by line breaks or commas."""
    return [item for line in str(raw).replace(",", "\n").splitlines() if (item := line.strip())]


def _parse_number_input(raw: Any) -> Any:
    """Other text is returned unchanged, for the schema to refuse."""
    if not _NUMBER.match(str(raw)):
        return raw
    return float(raw) if "." in raw else int(raw)


def _text_list_error(key: str, value: Any) -> str:
    is_list = isinstance(value, list) and 0 < len(value) <= _MAX_LIST_ITEMS
    if is_list and not any(_text_error(key, item) for item in value):
        return ""
    return _("%(key)s must be a list of at most %(limit)s texts, or be left out.", key=key, limit=_MAX_LIST_ITEMS)


def _text_error(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        return _("%(key)s must be text and not empty.", key=key)
    if value != value.strip():
        return _("%(key)s must not begin or end with a space.", key=key)
    if len(value) > _MAX_TEXT_LENGTH:
        return _("%(key)s is too long: at most %(limit)s characters.", key=key, limit=_MAX_TEXT_LENGTH)
    return ""


_FORM_PARSERS: Mapping[str, Callable[[Any], Any]] = {"number": _parse_number_input, "text_list": _split_list}
