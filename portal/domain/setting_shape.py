"""The shape of a JSON setting: its keys, the rule of each, and the rules between them.

One source for reading what was typed, for the form that spares people the JSON, and for showing it without its secrets.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from portal.domain.setting_error import SettingError, quoted

MASK = "••••"
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?\Z")
_SHORT_SECRET = 8
_LONGEST_TEXT = 200
_LONGEST_LIST = 20
_LONGEST_SETTING = 10_000


def anything(_value: Any) -> str:
    return ""


def nothing_between(_value: Mapping[str, Any]) -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class Key:
    """One key and the field that edits it.

    `kind` is text, secret, number, choice, texts (a list of any) or words (a list of `choices`).
    `rule` gives what a sound value of that kind must be beyond it, or "". A secret `beside` another key goes with it.
    """

    name: str
    label: str
    help: str = ""
    kind: str = "text"
    choices: Mapping[str, str] = field(default_factory=dict)
    rule: Callable[[Any], str] = anything
    beside: str = ""
    retired: tuple[str, ...] = ()
    """Choices that are offered no more, and still read where they are stored."""
    live_only: bool = False
    """Nothing that test mode has a use for."""

    @property
    def is_secret(self) -> bool:
        return self.kind == "secret"

    def problem(self, value: Any, stored: bool = False) -> str:
        """What the value must be and is not; "" when it will do."""
        known = replace(self, choices={**self.choices, **dict.fromkeys(self.retired, "")}) if stored else self
        return _KINDS[self.kind](known, value) or self.rule(value)


@dataclass(frozen=True)
class Shape:
    """`between` gives the rules that take several keys: a sentence for each key it belongs to. `example` is sound.

    `sense` gives more of them, for what is newly written: what was stored before such a rule goes on being used.
    """

    keys: tuple[Key, ...]
    example: Mapping[str, Any]
    between: Callable[[Mapping[str, Any]], dict[str, str]] = nothing_between
    sense: Callable[[Mapping[str, Any]], dict[str, str]] = nothing_between
    worked_out: Callable[[Mapping[str, Any]], dict[str, str]] = nothing_between
    """What holds for keys that a sound value leaves out, in words."""

    def parse(self, name: str, text: str, stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """From JSON; a secret that is empty, or typed as it is shown, keeps what is stored. Raises `SettingError`."""
        value = self._kept(_object(name, text), stored or {})
        self.check(name, value)
        return value

    def check(self, name: str, value: Mapping[str, Any], stored: bool = False) -> None:
        """Raises `SettingError` with a sentence for every key concerned."""
        keys = {key.name: key for key in self.keys}
        problems: dict[str, str] = {}
        for typed, item in value.items():
            if typed not in keys:
                problems[typed] = f"{name}: there is no key {quoted(typed)}. The keys are {', '.join(keys)}."
            elif rule := keys[typed].problem(item, stored):
                problems[typed] = f'{name}: "{typed}" {rule}'
        if not problems:
            together = self.between(value) or ({} if stored else self.sense(value))
            problems = {key: f"{name}{rule}" for key, rule in together.items()}
        if problems:
            raise SettingError(problems)

    def fits(self, value: Any) -> bool:
        """Whether what is stored can be used: it may have been written for another provider."""
        try:
            self.check("", value if isinstance(value, dict) else {"": value}, stored=True)
        except SettingError:
            return False
        return True

    def shown(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """With secrets by their last four characters; what is under no known key could be one."""
        open_keys = {key.name for key in self.keys if not key.is_secret}
        return {name: item if name in open_keys else masked(str(item)) for name, item in value.items()}

    def noted(self, value: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
        """As history keeps it: a secret that differs from the other value's is "changed", and nothing more is said."""
        open_keys = {key.name for key in self.keys if not key.is_secret}
        return {
            name: item if name in open_keys else MASK if item == other.get(name) else "changed"
            for name, item in value.items()
        }

    def from_fields(self, fields: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
        """What a form says: text by key, a list for words, None for what is left to the default."""
        value: dict[str, Any] = {}
        for key in self.keys:
            typed = fields.get(key.name)
            if isinstance(typed, list) or typed:
                value[key.name] = _READ.get(key.kind, _as_typed)(typed)
            elif key.is_secret and key.name in stored and (not key.beside or fields.get(key.beside)):
                value[key.name] = ""
        return value

    def secrets_of(self, value: Mapping[str, Any]) -> set[str]:
        """The keys whose secret is really there: not empty, and not as it is shown."""
        found = {key.name: value.get(key.name) for key in self.keys if key.is_secret}
        return {name for name, item in found.items() if isinstance(item, str) and item and MASK not in item}

    def secrets_in(self, text: str) -> set[str]:
        """The same of JSON; none of what cannot be read."""
        try:
            return self.secrets_of(_object("", text))
        except SettingError:
            return set()

    def echo(self, text: str) -> str | None:
        """What was typed as JSON, for another try, without its secrets; None when they cannot be told apart."""
        secrets = {key.name for key in self.keys if key.is_secret}
        if not secrets:
            return text
        try:
            value = _object("", text)
        except SettingError:
            return None
        open_keys = {key.name for key in self.keys} - secrets
        return json.dumps({name: item if name in open_keys else "" for name, item in value.items()})

    def _kept(self, value: dict[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
        secrets = {key.name for key in self.keys if key.is_secret and key.name in stored}
        return {
            name: stored[name] if name in secrets and item in ("", masked(stored[name])) else item
            for name, item in value.items()
        }


def masked(secret: str) -> str:
    return f"{MASK}{secret[-4:] if len(secret) > _SHORT_SECRET else ''}"


def _object(name: str, text: str) -> dict[str, Any]:
    if len(text) > _LONGEST_SETTING:
        raise SettingError.of(f"{name} is too long: at most {_LONGEST_SETTING:,} characters.")
    try:
        value = json.loads(text, object_pairs_hook=_once_each)
    except json.JSONDecodeError as error:
        words = f"{name} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise SettingError.of(words) from error
    except _TwiceError as error:
        raise SettingError.of(f"{name}: the key {quoted(str(error))} stands there twice.", str(error)) from error
    except (ValueError, RecursionError) as error:
        words = f"{name} is not JSON of a setting: it is nested too deep, or a number in it cannot be read."
        raise SettingError.of(words) from error
    if not isinstance(value, dict):
        raise SettingError.of(f"{name} must be a JSON object such as {{...}}.")
    return value


class _TwiceError(ValueError):
    pass


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in pairs:
        if key in found:
            raise _TwiceError(key)
        found[key] = item
    return found


def _as_typed(typed: Any) -> Any:
    return typed


def _listed(typed: Any) -> list[str]:
    """One on a line, or parted by commas."""
    return [item for line in str(typed).replace(",", "\n").splitlines() if (item := line.strip())]


def _number(typed: Any) -> Any:
    """The number that was typed; what is none stays as it is, for the rule to refuse."""
    if not _NUMBER.match(str(typed)):
        return typed
    return float(typed) if "." in typed else int(typed)


def _text(_key: Key, value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        return "must be text and not empty."
    if value != value.strip():
        return "must not begin or end with a space."
    return f"is too long: at most {_LONGEST_TEXT} characters." if len(value) > _LONGEST_TEXT else ""


def _secret(key: Key, value: Any) -> str:
    return _text(key, value) or (
        "" if value.isascii() else "must be the secret itself, or empty to keep the stored one."
    )


def _any_number(_key: Key, value: Any) -> str:
    sound = isinstance(value, int | float) and not isinstance(value, bool) and value == value
    return "" if sound else "must be a number."


def _choice(key: Key, value: Any) -> str:
    return _text(key, value) or ("" if value in key.choices else f"must be one of {', '.join(key.choices)}.")


def _texts(key: Key, value: Any) -> str:
    sound = isinstance(value, list) and 0 < len(value) <= _LONGEST_LIST and not any(_text(key, item) for item in value)
    return "" if sound else f"must be a list of texts, at most {_LONGEST_LIST}, or be left out."


def _words(key: Key, value: Any) -> str:
    sound = isinstance(value, list) and all(isinstance(word, str) and word in key.choices for word in value)
    return "" if sound else f"must be a list of some of {', '.join(key.choices)}, or []."


_KINDS = {"text": _text, "secret": _secret, "number": _any_number, "choice": _choice, "words": _words, "texts": _texts}
_READ: Mapping[str, Callable[[Any], Any]] = {"number": _number, "texts": _listed}
