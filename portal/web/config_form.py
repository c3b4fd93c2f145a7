"""The form of one setting: by fields or as text, with the same rules; secrets come in and never go out again."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from flask import request

from portal.actions.errors import Invalid
from portal.actions.settings import (
    GOING_LIVE,
    Change,
    InvalidSetting,
    NotConfirmed,
    change_setting,
)
from portal.domain import text_input
from portal.domain.app_config import DEFINITIONS, Definition
from portal.domain.configuration import Configuration
from portal.domain.rehearsal import REACHES
from portal.domain.setting_error import SettingError
from portal.domain.setting_shape import Key, Shape
from portal.web.display import relative_words, viewer_zone
from portal.web.parsing import typed, typed_code

_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
ENDS = {
    "": "When somebody switches it off",
    "1": "In 1 hour",
    "4": "In 4 hours",
    "24": "In 24 hours",
    "at": "At this time:",
}
_WITH_BUTTONS = "PreviousAuthToken"
_OVERTAKEN = (
    "Somebody changed this setting while you were typing. What you typed is kept below: "
    "compare it with the setting as it is now, then save again."
)
_RAW_FIELDS = {"confirmation": "confirmation-raw", "seen": "seen"}
_LOCAL = "%Y-%m-%dT%H:%M"


@dataclass(frozen=True)
class SettingForm:
    """What stands in the form. `errors` are by field; the secrets named by `retype` were typed and not kept.

    `seen` is what was stored when somebody began to type.
    """

    definition: Definition
    shape: Shape | None
    fields: Mapping[str, Any]
    raw: str
    ends: str = ""
    ends_at: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)
    retype: tuple[str, ...] = ()
    seen: str = ""

    @property
    def keys(self) -> tuple[Key, ...]:
        rehearses = self.definition.name.startswith("Test")
        known = self.shape.keys if self.shape else ()
        return tuple(key for key in known if key.name != _WITH_BUTTONS and not (key.live_only and rehearses))


def stored_form(found: Configuration, name: str, now_ms: int) -> SettingForm:
    """As one finds it: what is stored, without its secrets."""
    shape, value, end_ms = found.shape(name), found.at(now_ms).get(name), found.ends.get(name, 0)
    shown = found.shown(name, now_ms)
    is_object = shape is not None and isinstance(value, dict)
    return SettingForm(
        definition=DEFINITIONS[name],
        shape=shape,
        fields=_open(shape, value) if shape and isinstance(value, dict) else {"value": shown},
        raw=json.dumps(json.loads(shown), indent=2, ensure_ascii=False) if is_object else shown,
        ends="at" if end_ms > now_ms else "",
        ends_at=_local(end_ms) if end_ms > now_ms else "",
        seen=_seen(found, name),
    )


def failed_form(found: Configuration, name: str, now_ms: int, error: Invalid) -> SettingForm:
    """What was typed, with what is wrong; but no secret is shown back, so it is asked for again."""
    form = stored_form(found, name, now_ms)
    if isinstance(error, NotConfirmed):
        error = Invalid({"confirmation": _live_words(error, now_ms)})
    if "seen" not in error.errors:
        form = replace(form, seen=typed("seen"))
    retype = tuple(sorted(_typed_secrets(form.shape) | _asked_again(form.shape)))
    if typed("way") == "raw":
        raw = form.shape.echo(typed("raw")) if form.shape else typed("raw")
        errors = {_RAW_FIELDS.get(key, "raw"): str(error) for key in error.errors}
        return replace(form, raw=form.raw if raw is None else raw, errors=errors, retype=retype)
    fields = _open(form.shape, _typed_fields(form.shape)) if form.shape else {"value": typed("value")}
    errors = _by_field(form, error)
    return replace(form, fields=fields, errors=errors, ends=typed("ends"), ends_at=typed("ends_at"), retype=retype)


def save(name: str, author_id: int, now_ms: int) -> int | None:
    """When texts (or emails) reach people by it. Raises `InvalidSetting`, `NotConfirmed`."""
    until_ms = _until_ms(name, now_ms) if typed("way") != "raw" else None
    change = Change(name, author_id, now_ms, "page", until_ms, typed("confirmation"))
    return change_setting(change, _text(name))


def _text(name: str) -> str | Callable[[Configuration], str]:
    def written(found: Configuration) -> str:
        if "seen" in request.form and typed("seen") != _seen(found, name):
            raise Invalid({"seen": _OVERTAKEN})
        shape, stored = found.shape(name), found.values.get(name)
        missing = _asked_again(shape) - _typed_secrets(shape)
        if missing:
            words = "type it again, since secrets are not shown back."
            raise InvalidSetting(name, SettingError({key: f'{name}: "{key}": {words}' for key in sorted(missing)}))
        if shape is None or typed("way") == "raw":
            return typed("raw") if typed("way") == "raw" else typed("value")
        return json.dumps(shape.from_fields(_typed_fields(shape), stored if isinstance(stored, dict) else {}))

    return written


def _typed_fields(shape: Shape) -> dict[str, Any]:
    """A list of words only where somebody asked for a list of their own."""
    found: dict[str, Any] = {key.name: _typed_field(key) for key in shape.keys if key.kind != "words"}
    lists = [key.name for key in shape.keys if key.kind == "words" and typed(f"{key.name}.own")]
    return found | {name: request.form.getlist(name) for name in lists}


def _typed_field(key: Key) -> str:
    """Lists are typed one on a line."""
    return text_input.lines(typed(key.name)).strip() if key.kind == "texts" else typed_code(key.name)


def _typed_secrets(shape: Shape | None) -> set[str]:
    if shape is None:
        return set()
    return shape.secrets_in(typed("raw")) if typed("way") == "raw" else shape.secrets_of(_typed_fields(shape))


def _asked_again(shape: Shape | None) -> set[str]:
    """Secrets that were typed before, in a form that was refused: empty must not mean the old one then."""
    names = {key.name for key in shape.keys if key.is_secret} if shape else set()
    return names & set(request.form.getlist("retype"))


def _open(shape: Shape, value: Mapping[str, Any]) -> dict[str, Any]:
    secrets = {key.name for key in shape.keys if key.is_secret}
    return {name: item for name, item in value.items() if name not in secrets}


def _by_field(form: SettingForm, error: Invalid) -> dict[str, str]:
    """A sentence about no field of the form, such as one that is too long, stands at the first."""
    problems = error.problems if isinstance(error, InvalidSetting) else error.errors
    names = [key.name for key in form.keys] or ["value"]
    known = (*names, "until", "confirmation", "seen")
    return {key if key in known else names[0]: words for key, words in problems.items()}


def _until_ms(name: str, now_ms: int) -> int | None:
    """When the switch ends by itself, to the minute. Raises `InvalidSetting` for a time that is none."""
    ends = typed("ends")
    if not DEFINITIONS[name].ends or typed("value") != "true" or ends not in ENDS or not ends:
        return None
    if ends != "at":
        return (now_ms + int(ends) * _HOUR_MS) // _MINUTE_MS * _MINUTE_MS
    try:
        moment = datetime.strptime(typed("ends_at"), _LOCAL).replace(tzinfo=viewer_zone())
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        words = f"{name}: the end must be a date and a time, such as {_local(now_ms + _HOUR_MS)}."
        raise InvalidSetting(name, SettingError.of(words, "until")) from error


def _live_words(error: NotConfirmed, now_ms: int) -> str:
    soon = error.live_at_ms <= now_ms
    when = "at once" if soon else relative_words(error.live_at_ms, now_ms, viewer_zone())
    reach = REACHES[error.channel]
    words = [f"With this, {reach.many} reach {reach.whom} {when}.", reach.leaving(error.waiting)]
    return " ".join(filter(None, [*words, f"Type {GOING_LIVE} to let them."]))


def _seen(found: Configuration, name: str) -> str:
    return f"{found.shown(name, 0)} {found.ends.get(name, '')}"


def _local(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(viewer_zone()).strftime(_LOCAL)
