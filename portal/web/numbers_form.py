"""The form for phone numbers on an account: the same on one's own page and on the Account Profile."""

from collections.abc import Callable
from dataclasses import dataclass, field

from flask_security import current_user

from portal.actions import phones
from portal.actions.errors import Invalid
from portal.actions.number_state import NumberState, number_state
from portal.actions.twilio_api import sending_number
from portal.clock import now_ms
from portal.context import settings
from portal.domain.phone import example
from portal.models.phone import PhoneNumber, numbers_of, others_with
from portal.web.access import has_role
from portal.web.layout import sms_shown
from portal.web.parsing import typed


@dataclass(frozen=True)
class NumberRow:
    """A number as shown: `state` is None while nothing of SMS shows."""

    phone: PhoneNumber
    state: NumberState | None
    others: list[PhoneNumber]


@dataclass(frozen=True)
class NumbersForm:
    """`errors` by field; `label_errors` by the number whose label it is. What was typed is kept."""

    rows: list[NumberRow]
    region: str
    example: str
    typed: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    label_errors: dict[int, str] = field(default_factory=dict)

    @property
    def in_error(self) -> bool:
        return bool(self.errors or self.label_errors)


def shown(account_id: int, **changes: dict[str, str] | dict[int, str]) -> NumbersForm:
    rows = [_row(phone) for phone in numbers_of(account_id)]
    region = settings().region
    return NumbersForm(rows, region, example(region), **changes)  # type: ignore[arg-type]


def add(account_id: int) -> NumbersForm | None:
    """None when the number was added; else the form with what was typed and what is wrong with it."""
    values = {"number": typed("number"), "label": typed("label")}
    return _tried(
        lambda: phones.add_number(account_id, values["number"], values["label"], now_ms()),
        lambda errors: shown(account_id, typed=values, errors=errors),
    )


def relabel(account_id: int, number_id: int) -> NumbersForm | None:
    label = typed("label")
    return _tried(
        lambda: phones.relabel_number(number_id, account_id, label),
        lambda errors: shown(account_id, label_errors={number_id: " ".join(errors.values())}),
    )


def remove(account_id: int, number_id: int) -> None:
    phones.remove_number(number_id, account_id, current_user.id, now_ms())


def _tried(act: Callable[[], object], refused: Callable[[dict[str, str]], NumbersForm]) -> NumbersForm | None:
    try:
        act()
    except Invalid as error:
        return refused(error.errors)
    return None


def _row(phone: PhoneNumber) -> NumberRow:
    to_admin = has_role("admin")
    state = number_state(phone, sending_number(), now_ms(), to_admin) if sms_shown() else None
    return NumberRow(phone, state, others_with(phone.number, phone.account_id) if to_admin else [])
