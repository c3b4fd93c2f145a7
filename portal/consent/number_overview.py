"""The administrators' view of a phone number: its state, its accounts, and its history."""

from dataclasses import dataclass

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import phones_with
from portal.consent.consent_export import DescribedEvent, describe_events
from portal.consent.manual_consent import can_move_texts
from portal.consent.recording import consent_state_of, recipient_for_start
from portal.consent.rules.consent_labels import Label
from portal.consent.rules.consent_state import ConsentState, open_requests
from portal.consent.tables import inbound_messages
from portal.consent.tables.inbound_messages import InboundMessage
from portal.consent.tables.ledger import ConsentEvent, event_day
from portal.consent.tables.ledger_search import LedgerFilter, ledger_page
from portal.core.extensions import db
from portal.core.keyset import newest_first
from portal.core.translation import gettext as _
from portal.settings.live_gateway import sending_number_label

_MAX_EVENTS = 200


@dataclass(frozen=True)
class NumberAccount:
    """An account with the number. `receiving_since_ms` is set if it gets the texts, or got them before a STOP.

    `is_start_recipient` marks the account that START would give the texts to, while the number is stopped.
    """

    account: Account
    label: str
    added_ms: int
    receiving_since_ms: int | None
    since_day: str
    invited_ms: int | None
    may_receive: bool
    is_start_recipient: bool


@dataclass(frozen=True)
class NumberOverview:
    """`cause_event` is the event that led to the current state; `detail` says what can change it."""

    number: str
    consent_state: ConsentState
    label: Label
    since_ms: int | None
    since_day: str
    cause_event: DescribedEvent | None
    detail: str
    accounts: list[NumberAccount]


@dataclass(frozen=True)
class NumberEvent:
    """One line of a number's history: an event of the ledger, or a text that says nothing about consent."""

    at_ms: int
    event: DescribedEvent | None = None
    message: InboundMessage | None = None


def load_number_overview(number: str, now_ms: int) -> NumberOverview:
    state = consent_state_of(number)
    start_recipient_id = recipient_for_start(number, now_ms) if state.stopped_at_ms is not None else None
    accounts = _load_accounts(number, state, start_recipient_id, now_ms)
    start_is_ambiguous = bool(accounts) and start_recipient_id is None
    label, since_ms, event_id, detail = _describe_state(number, state, start_is_ambiguous, now_ms)
    event = db.session.get(ConsentEvent, event_id) if event_id else None
    cause_event, since_day = describe_events([event])[0] if event else None, event_day(event_id, since_ms)
    return NumberOverview(number, state, label, since_ms, since_day, cause_event, detail, accounts)


def _describe_state(
    number: str, state: ConsentState, start_is_ambiguous: bool, now_ms: int
) -> tuple[Label, int | None, int | None, str]:
    """A label, since when, the id of the event that led to the state, and what can change it."""
    if state.stopped_at_ms is not None:
        detail = _(
            "This number gets no texts, whichever account has it. You cannot undo that here: only a text with the word "
            "START from that phone to %(number)s does.",
            number=sending_number_label(number),
        )
        if start_is_ambiguous:
            detail += " " + _("An administrator would then decide which account gets the texts.")
        return Label(_("Opted out"), "off"), state.stopped_at_ms, state.stopped_by_event_id, detail
    if state.is_deactivated:
        detail = _(
            "The carrier reports that this number is no longer in service. It gets no texts until somebody who has it "
            "on their account confirms it, and its phone then texts START."
        )
        return Label(_("No longer in service"), "bad"), state.unreachable_at_ms, None, detail
    if state.unreachable_at_ms is not None:
        detail = _("This number gets no texts until somebody who has it on their account confirms it.")
        return Label(_("Cannot receive texts"), "bad"), state.unreachable_at_ms, None, detail
    if state.recipient_id is not None:
        return Label(_("Enabled for texts"), "ok"), state.receiving_since_ms, state.enabled_by_event_id, ""
    if state.unassigned_start_id is not None:
        label = Label(_("START arrived, account not known"), "wait")
        return label, None, state.unassigned_start_id, _("Choose below which account gets its texts.")
    is_invited = bool(open_requests(state, now_ms))
    label = Label(_("Invited, no answer yet"), "wait") if is_invited else Label(_("Not enabled for texts"), "off")
    return label, None, None, _("This number gets only an invitation until it replies START.")


def _load_accounts(number: str, state: ConsentState, start_recipient: int | None, now_ms: int) -> list[NumberAccount]:
    requests = open_requests(state, now_ms)
    return [
        NumberAccount(
            account=phone.account,
            label=phone.label,
            added_ms=phone.created_at_ms,
            receiving_since_ms=state.receiving_since_ms if phone.account_id == state.recipient_id else None,
            since_day=event_day(state.enabled_by_event_id, state.receiving_since_ms),
            invited_ms=requests.get(phone.account_id),
            may_receive=can_move_texts(state, phone.account_id),
            is_start_recipient=phone.account_id == start_recipient,
        )
        for phone in phones_with(number)
    ]


def opt_out_effects(overview: NumberOverview) -> list[str]:
    """Say whose number it is and what an opt-out ends, one sentence for each account."""
    if not overview.accounts:
        return [_("No account has this number. An account that adds it gets no texts there.")]
    return [_opt_out_effect(row, overview.consent_state) for row in overview.accounts]


def _opt_out_effect(row: NumberAccount, state: ConsentState) -> str:
    owner = {"name": row.account.name, "account": row.account.external_id}
    if row.receiving_since_ms is not None and state.receives_texts:
        return _("%(name)s, %(account)s, gets texts there now. They end, including those waiting to be sent.", **owner)
    if row.invited_ms is not None:
        return _("%(name)s, %(account)s, asked for texts there, and gets none.", **owner)
    return _("%(name)s, %(account)s, gets no texts there now.", **owner)


def number_history(number: str) -> list[NumberEvent]:
    """The newest events and texts of the number, oldest first."""
    events = ledger_page(LedgerFilter(number=number), newest_first(ConsentEvent.id, _MAX_EVENTS)).rows
    sids = {event.message_sid for event in events}
    messages = inbound_messages.messages_from(number)[-_MAX_EVENTS:]
    history = [
        *(NumberEvent(described.event.occurred_at_ms, event=described) for described in describe_events(events)),
        *(NumberEvent(text.order_at_ms, message=text) for text in messages if text.provider_id not in sids),
    ]
    return sorted(history, key=lambda item: (item.at_ms, item.event.event.id if item.event else 0))
