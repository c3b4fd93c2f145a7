"""The shape of a JSON setting: its keys, the rule of each, and the rules between them.

One source for reading what was typed, for the form that spares people the JSON, and for showing it without its secrets.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from portal.core.rules.setting_error import SettingError, quote_input

MASK = "••••"
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?\Z")
_MAX_FULLY_MASKED_LENGTH = 8
_MAX_TEXT_LENGTH = 200
_MAX_LIST_ITEMS = 20
_MAX_SETTING_LENGTH = 10_000


def accept_any(_value: Any) -> str:
    return ""


def no_rules(_value: Mapping[str, Any]) -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class SettingField:
    """One key and the field that edits it.

    `kind` is text, secret, number, choice, text_list (a list of any) or choice_list (a list of `choices`).
    `rule` gives what a sound value of that kind must be beyond it, or "". A secret `beside` another key goes with it.
    """

    name: str
    label: str
    help: str = ""
    kind: str = "text"
    choices: Mapping[str, str] = field(default_factory=dict)
    check_value: Callable[[Any], str] = accept_any
    required_with: str = ""
    deprecated_choices: tuple[str, ...] = ()
    """Choices that are offered no more, and still read where they are stored."""
    live_only: bool = False
    """Nothing that test mode has a use for."""

    @property
    def is_secret(self) -> bool:
        return self.kind == "secret"

    def requirement_error(self, value: Any, stored: bool = False) -> str:
        """What the value must be and is not; "" when it will do."""
        known = (
            replace(self, choices={**self.choices, **dict.fromkeys(self.deprecated_choices, "")}) if stored else self
        )
        return _CHECKS_BY_KIND[self.kind](known, value) or self.check_value(value)


@dataclass(frozen=True)
class SettingSchema:
    """`between` gives the rules that take several keys: a sentence for each key it belongs to. `example` is sound.

    `sense` gives more of them, for what is newly written: what was stored before such a rule goes on being used.
    """

    fields: tuple[SettingField, ...]
    example: Mapping[str, Any]
    cross_field_rules: Callable[[Mapping[str, Any]], dict[str, str]] = no_rules
    new_value_rules: Callable[[Mapping[str, Any]], dict[str, str]] = no_rules
    derived_values: Callable[[Mapping[str, Any]], dict[str, str]] = no_rules
    """What holds for keys that a sound value leaves out, in words."""

    def parse(self, name: str, text: str, stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """From JSON; a secret that is empty, or typed as it is shown, keeps what is stored. Raises `SettingError`."""
        value = self._with_stored_secrets(_parse_json_object(name, text), stored or {})
        self.check(name, value)
        return value

    def check(self, name: str, value: Mapping[str, Any], stored: bool = False) -> None:
        """Raises `SettingError` with a sentence for every key concerned."""
        keys = {key.name: key for key in self.fields}
        problems: dict[str, str] = {}
        for typed, item in value.items():
            if typed not in keys:
                problems[typed] = f"{name}: there is no key {quote_input(typed)}. The keys are {', '.join(keys)}."
            elif rule := keys[typed].requirement_error(item, stored):
                problems[typed] = f'{name}: "{typed}" {rule}'
        if not problems:
            together = self.cross_field_rules(value) or ({} if stored else self.new_value_rules(value))
            problems = {key: f"{name}{rule}" for key, rule in together.items()}
        if problems:
            raise SettingError(problems)

    def is_valid(self, value: Any) -> bool:
        """Whether what is stored can be used: it may have been written for another provider."""
        try:
            self.check("", value if isinstance(value, dict) else {"": value}, stored=True)
        except SettingError:
            return False
        return True

    def masked_values(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """With secrets by their last four characters; what is under no known key could be one."""
        open_keys = {key.name for key in self.fields if not key.is_secret}
        return {name: item if name in open_keys else mask_secret(str(item)) for name, item in value.items()}

    def masked_for_history(self, value: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
        """As history keeps it: a secret that differs from the other value's is "changed", and nothing more is said."""
        open_keys = {key.name for key in self.fields if not key.is_secret}
        return {
            name: item if name in open_keys else MASK if item == other.get(name) else "changed"
            for name, item in value.items()
        }

    def parse_form(self, fields: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
        """What a form says: text by key, a list for words, None for what is left to the default."""
        value: dict[str, Any] = {}
        for key in self.fields:
            typed = fields.get(key.name)
            if isinstance(typed, list) or typed:
                value[key.name] = _FORM_PARSERS.get(key.kind, _unchanged)(typed)
            elif key.is_secret and key.name in stored and (not key.required_with or fields.get(key.required_with)):
                value[key.name] = ""
        return value

    def provided_secrets(self, value: Mapping[str, Any]) -> set[str]:
        """The keys whose secret is really there: not empty, and not as it is shown."""
        found = {key.name: value.get(key.name) for key in self.fields if key.is_secret}
        return {name for name, item in found.items() if isinstance(item, str) and item and MASK not in item}

    def provided_secrets_in_json(self, text: str) -> set[str]:
        """The same of JSON; none of what cannot be read."""
        try:
            return self.provided_secrets(_parse_json_object("", text))
        except SettingError:
            return set()

    def without_secrets(self, text: str) -> str | None:
        """What was typed as JSON, for another try, without its secrets; None when they cannot be told apart."""
        secrets = {key.name for key in self.fields if key.is_secret}
        if not secrets:
            return text
        try:
            value = _parse_json_object("", text)
        except SettingError:
            return None
        open_keys = {key.name for key in self.fields} - secrets
        return json.dumps({name: item if name in open_keys else "" for name, item in value.items()})

    def _with_stored_secrets(self, value: dict[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
        secrets = {key.name for key in self.fields if key.is_secret and key.name in stored}
        return {
            name: stored[name] if name in secrets and item in ("", mask_secret(stored[name])) else item
            for name, item in value.items()
        }


def mask_secret(secret: str) -> str:
    return f"{MASK}{secret[-4:] if len(secret) > _MAX_FULLY_MASKED_LENGTH else ''}"


def _parse_json_object(name: str, text: str) -> dict[str, Any]:
    if len(text) > _MAX_SETTING_LENGTH:
        raise SettingError.for_key(f"{name} is too long: at most {_MAX_SETTING_LENGTH:,} characters.")
    try:
        value = json.loads(text, object_pairs_hook=_reject_duplicate_keys)
    except json.JSONDecodeError as error:
        words = f"{name} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise SettingError.for_key(words) from error
    except _DuplicateKeyError as error:
        raise SettingError.for_key(
            f"{name}: the key {quote_input(str(error))} stands there twice.", str(error)
        ) from error
    except (ValueError, RecursionError) as error:
        words = f"{name} is not JSON of a setting: it is nested too deep, or a number in it cannot be read."
        raise SettingError.for_key(words) from error
    if not isinstance(value, dict):
        raise SettingError.for_key(f"{name} must be a JSON object such as {{...}}.")
    return value


class _DuplicateKeyError(ValueError):
    pass


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in pairs:
        if key in found:
            raise _DuplicateKeyError(key)
        found[key] = item
    return found


def _unchanged(typed: Any) -> Any:
    return typed


def _split_list(typed: Any) -> list[str]:
    """One on a line, or parted by commas."""
    return [item for line in str(typed).replace(",", "\n").splitlines() if (item := line.strip())]


def _parse_number_input(typed: Any) -> Any:
    """The number that was typed; what is none stays as it is, for the rule to refuse."""
    if not _NUMBER.match(str(typed)):
        return typed
    return float(typed) if "." in typed else int(typed)


def _check_text(_key: SettingField, value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        return "must be text and not empty."
    if value != value.strip():
        return "must not begin or end with a space."
    return f"is too long: at most {_MAX_TEXT_LENGTH} characters." if len(value) > _MAX_TEXT_LENGTH else ""


def _check_secret(key: SettingField, value: Any) -> str:
    return _check_text(key, value) or (
        "" if value.isascii() else "must be the secret itself, or empty to keep the stored one."
    )


def _check_number(_key: SettingField, value: Any) -> str:
    sound = isinstance(value, int | float) and not isinstance(value, bool) and value == value
    return "" if sound else "must be a number."


def _check_choice(key: SettingField, value: Any) -> str:
    return _check_text(key, value) or ("" if value in key.choices else f"must be one of {', '.join(key.choices)}.")


def _check_text_list(key: SettingField, value: Any) -> str:
    sound = (
        isinstance(value, list)
        and 0 < len(value) <= _MAX_LIST_ITEMS
        and not any(_check_text(key, item) for item in value)
    )
    return "" if sound else f"must be a list of texts, at most {_MAX_LIST_ITEMS}, or be left out."


def _check_choice_list(key: SettingField, value: Any) -> str:
    sound = isinstance(value, list) and all(isinstance(word, str) and word in key.choices for word in value)
    return "" if sound else f"must be a list of some of {', '.join(key.choices)}, or []."


_CHECKS_BY_KIND = {
    "text": _check_text,
    "secret": _check_secret,
    "number": _check_number,
    "choice": _check_choice,
    "choice_list": _check_choice_list,
    "text_list": _check_text_list,
}
_FORM_PARSERS: Mapping[str, Callable[[Any], Any]] = {"number": _parse_number_input, "text_list": _split_list}
