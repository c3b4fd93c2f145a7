"""Replies to review as pages show them, and the form on the page of one reply."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from wtforms import HiddenField, RadioField, SelectField, TextAreaField

from portal.accounts.tables.accounts import Account
from portal.consent import reply_answers
from portal.consent.manual_consent import is_unassigned_start
from portal.consent.number_overview import NumberOverview, load_number_overview
from portal.consent.reply_answers import NO_ACCOUNT, AnswerAccount, AnswerDraft, AnswerPlan
from portal.consent.rules.consent_labels import DECISION_LABELS
from portal.consent.tables import ledger_search, reply_notes
from portal.consent.tables.inbound_messages import InboundMessage
from portal.consent.tables.reply_notes import ReplyNote
from portal.core.clock import now_ms
from portal.core.rules.phone import is_e164
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.messages.tables import communication_history
from portal.messages.tables.communications import Communication
from portal.web.base_form import PortalForm
from portal.web.delivery_labels import ChannelStatus, channel_statuses
from portal.web.request_input import parse_id


class ReplyForm(PortalForm):
    """One form for the whole page of a reply, so that no button loses what another field holds.

    `seen` is the assignee that the page showed, `by_text` whether it said that a text goes, `in_list` is set by the
    forms of the list.
    """

    body = TextAreaField(lazy_gettext("Your answer"))
    account = RadioField(lazy_gettext("Whose question is this?"), validate_choice=False)
    by_text, seen, in_list, take = HiddenField(), HiddenField(filters=[parse_id]), HiddenField(), HiddenField()
    assignee = SelectField(lazy_gettext("Administrator"), validate_choice=False)
    note = TextAreaField(lazy_gettext("New note"))

    @property
    def draft(self) -> AnswerDraft:
        account_id = NO_ACCOUNT if self.account.data == str(NO_ACCOUNT) else parse_id(self.account.data)
        return AnswerDraft(self.body.data, account_id, self.by_text.data == "yes")

    def offer_accounts(self, plan: AnswerPlan) -> None:
        """Choose the account that is suggested, unless the person has chosen."""
        choices = {str(row.account.id): _account_choice(row) for row in plan.accounts}
        if plan.routing.will_send:
            choices[str(NO_ACCOUNT)] = _("No account: by text only.")
        self.account.choices = choices
        if not self.account.data and plan.suggested_id is not None:
            self.account.data = str(plan.suggested_id)


@dataclass(frozen=True)
class ReplyReview:
    """A text and the decisions it allows. `overview` is None if it did not come from a phone number.

    `is_unassigned_start` is true for a START that still waits for an account.
    """

    message: InboundMessage
    overview: NumberOverview | None
    is_unassigned_start: bool
    decided_by: Account | None
    decision: str
    assigned_to: Account | None
    answer: Communication | None
    notes: list[ReplyNote]

    @property
    def can_be_answered(self) -> bool:
        return not self.message.decision and reply_answers.can_be_answered(self.message)

    @cached_property
    def answer_statuses(self) -> list[ChannelStatus]:
        return channel_statuses(self.answer, also_texts=True) if self.answer else []

    @property
    def answer_text(self) -> str:
        return next((status.delivery.body for status in self.answer_statuses if status.channel == "sms"), "")


def _account_choice(row: AnswerAccount) -> str:
    account = {"name": row.account.name, "account": row.account.external_id, "email": row.account.email}
    if row.is_confirmed:
        return _("%(name)s, %(account)s: also by email to %(email)s.", **account)
    return _(
        "%(name)s, %(account)s: also by email to %(email)s. This phone never agreed to texts for this account, "
        "so check that the number is theirs.",
        **account,
    )


def build_reviews(messages: Sequence[InboundMessage]) -> list[ReplyReview]:
    people = {id for message in messages for id in (message.decided_by_id, message.assigned_to_id) if id}
    accounts = ledger_search.accounts_by_id(people)
    answers = communication_history.with_deliveries([message.answer_id for message in messages if message.answer_id])
    notes = reply_notes.notes_by_message([message.id for message in messages])
    return [
        _review(
            message,
            decided_by=accounts.get(message.decided_by_id or 0),
            assigned_to=accounts.get(message.assigned_to_id or 0),
            answer=answers.get(message.answer_id or 0),
            notes=notes[message.id],
        )
        for message in messages
    ]


def _review(
    message: InboundMessage,
    decided_by: Account | None,
    assigned_to: Account | None,
    answer: Communication | None,
    notes: list[ReplyNote],
) -> ReplyReview:
    overview = load_number_overview(message.from_number, now_ms()) if is_e164(message.from_number) else None
    is_unassigned = overview is not None and is_unassigned_start(message, overview.consent_state)
    decision = _(DECISION_LABELS.get(message.decision, message.decision))
    return ReplyReview(message, overview, is_unassigned, decided_by, decision, assigned_to, answer, notes)
