"""The form for phone numbers on an account: the same on one's own page and on the Account Profile."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from flask import url_for
from flask_security import current_user

from portal.actions import content, phones
from portal.actions.consent import standing_of
from portal.actions.errors import Invalid
from portal.actions.number_state import NumberState, number_state
from portal.actions.twilio_api import sending_number
from portal.clock import now_ms
from portal.context import settings
from portal.domain import wording
from portal.domain.consent import invited_now
from portal.domain.phone import example, friendly
from portal.models.account import Account
from portal.models.phone import PhoneNumber, numbers_of, others_with
from portal.web.access import has_role
from portal.web.asking import asker
from portal.web.intervals import seconds_until_next_look
from portal.web.layout import sms_shown
from portal.web.parsing import typed, typed_code, unsure_number

_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Area:
    """Where an account's numbers are looked after: on one's own page, or on the Account Profile by administrators.

    Both blueprints call their views the same, and `home` the page that lists the numbers.
    """

    blueprint: str
    home: str
    account: Account
    own: bool = False

    def url(self, view: str, **values: Any) -> str:
        if not self.own:
            values["account_id"] = self.account.id
        return url_for(f"{self.blueprint}.{view}", **values)

    @property
    def home_url(self) -> str:
        return self.url(self.home)

    @property
    def whose(self) -> str:
        return "your" if self.own else "this"

    @property
    def for_other(self) -> bool:
        """Whether an administrator acts for somebody else."""
        return bool(self.account.id != current_user.id)


@dataclass(frozen=True)
class NumberRow:
    """A number as shown: `state` is None while nothing of SMS shows. It looks again `every` so many seconds."""

    phone: PhoneNumber
    state: NumberState | None
    others: list[PhoneNumber]
    since: str = ""
    every: int | None = None

    @property
    def seen(self) -> str:
        """What is on the page, in short: while it is still so, whoever looks again is answered nothing."""
        shown = self.state and (self.state.words, self.state.since_ms, self.state.action, self.every)
        return hashlib.sha256(repr(shown).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Removal:
    """A number that is to leave the account. `asked` where a request of the account for texts is open, `others` are
    told to administrators only. Where nothing of SMS shows, texts are not mentioned."""

    phone: PhoneNumber
    others: list[PhoneNumber]
    gets_texts: bool
    asked: bool
    mentions_texts: bool


@dataclass(frozen=True)
class NumbersForm:
    """`errors` by field; `label_errors` by the number whose label it is. What was typed is kept.

    `information` is the block on STOP and HELP, empty while nothing of SMS shows.
    """

    area: Area
    rows: list[NumberRow]
    region: str
    example: str
    information: str = ""
    typed: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    label_errors: dict[int, str] = field(default_factory=dict)
    unsure: str = ""
    """A number to be added once somebody confirms its digits."""

    @property
    def in_error(self) -> bool:
        return bool(self.errors or self.label_errors)


def shown(area: Area, **changes: dict[str, str] | dict[int, str]) -> NumbersForm:
    rows = _rows(numbers_of(area.account.id))
    region = settings().region
    return NumbersForm(area, rows, region, example(region), information(area), **changes)  # type: ignore[arg-type]


def one(area: Area, number_id: int) -> NumberRow | None:
    """A number of somebody else's account is as unknown as one that never was."""
    rows = _rows([phone for phone in numbers_of(area.account.id) if phone.id == number_id])
    return rows[0] if rows else None


def information(area: Area) -> str:
    """How to stop texts and get help, in Markdown, for those whose texts they are."""
    return content.words_of(wording.STOP_HELP_INFO).source if area.own and sms_shown() else ""


def add(area: Area) -> NumbersForm | None:
    """None when the number was added; else the form with what was typed and what is wrong with it."""
    values = {"number": typed("number"), "label": typed("label")}
    confirmed = typed_code("confirmed_number")
    return _tried(
        lambda: phones.add_number(area.account.id, values["number"], values["label"], now_ms(), confirmed),
        lambda error: replace(shown(area, typed=values, errors=error.errors), unsure=unsure_number(error)),
    )


def added(area: Area) -> str:
    """What to say when a number was added."""
    done = f"The number is on {area.whose if area.own else 'the'} account."
    return f"{done} To get texts there as well, choose “Enable texts…” beside it." if sms_shown() else done


def relabel(area: Area, number_id: int) -> NumbersForm | None:
    label = typed("label")
    return _tried(
        lambda: phones.relabel_number(number_id, area.account.id, label),
        lambda error: shown(area, label_errors={number_id: " ".join(error.errors.values())}),
    )


def removal(area: Area, number_id: int) -> Removal | None:
    """What is shown before a number leaves the account; None for one that is not on it."""
    phone = next((phone for phone in numbers_of(area.account.id) if phone.id == number_id), None)
    if phone is None:
        return None
    others = others_with(phone.number, area.account.id) if has_role("admin") and not area.own else []
    seen = sms_shown() or not area.own
    asked = seen and area.account.id in invited_now(standing_of(phone.number), now_ms())
    return Removal(phone, others, gets_texts=seen and phone.holds_sms, asked=asked, mentions_texts=seen)


def remove(area: Area, number_id: int) -> None:
    phones.remove_number(number_id, area.account.id, asker(by_admin=area.for_other), now_ms())


def as_read(number: str) -> str:
    return friendly(number, settings().region)


def _tried(act: Callable[[], object], refused: Callable[[Invalid], NumbersForm]) -> NumbersForm | None:
    try:
        act()
    except Invalid as error:
        return refused(error)
    return None


def _rows(found: list[PhoneNumber]) -> list[NumberRow]:
    to_admin, now = has_role("admin"), now_ms()
    rows = []
    for phone in found:
        others = others_with(phone.number, phone.account_id) if to_admin else []
        state = number_state(phone, sending_number(phone.number), now, to_admin) if sms_shown() else None
        rows.append(NumberRow(phone, state, others, *_looks(state, now)))
    return rows


def _looks(state: NumberState | None, now: int) -> tuple[str, int | None]:
    """Whether “since” goes before the time, which in the first hour reads “3 minutes ago”; and when to look again."""
    if state is None or state.since_ms is None:
        return "", None
    age_ms = now - state.since_ms
    return "since" if age_ms >= _HOUR_MS else "", seconds_until_next_look(age_ms) if state.pending else None
