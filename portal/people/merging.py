"""Merge two accounts of one person: one stays and takes over what the other has (ADR 51). It cannot be undone."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from portal.accounts.account_attributes import check_attributes, store_attributes
from portal.accounts.account_editing import store_fields
from portal.accounts.account_permissions import require_permission
from portal.accounts.tables.accounts import Account, lock_accounts
from portal.accounts.tables.attributes import all_attributes, values_of
from portal.accounts.tables.phone_numbers import PhoneNumber, phone_state, phones_of
from portal.authentication.second_factors import delete_second_factors
from portal.authentication.tables.external_identities import delete_identities
from portal.consent.account_phones import MAX_NUMBERS_PER_ACCOUNT
from portal.consent.tables import ledger
from portal.core.actor import Actor
from portal.core.audit_log import record_audit_entry
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.people.deactivation import end_account, require_can_go
from portal.people.merged_numbers import take_over_numbers
from portal.people.tables import merged_rows
from portal.sends.fan_out import unfinished_send_ids

STAYING, LEAVING = "staying", "leaving"
"""Whose value or consent is kept, where both accounts have one."""


@dataclass(frozen=True)
class NumberMove:
    """A phone number of the account that leaves; `staying` is the same number on the other one."""

    leaving: PhoneNumber
    staying: PhoneNumber | None
    is_opted_out: bool

    @property
    def choice(self) -> str:
        """The name of the choice; "" if there is none."""
        return f"number:{self.leaving.number}" if self.staying else ""


@dataclass(frozen=True)
class AttributeMove:
    """`before` is the value of the account that stays, `after` that of the other one."""

    key: str
    label: str
    before: str
    after: str

    @property
    def choice(self) -> str:
        return f"attribute:{self.key}" if self.before else ""


@dataclass(frozen=True)
class MergePlan:
    """What would move. `shared_communications` stay, because both accounts got the same send."""

    staying: Account
    leaving: Account
    communications: int
    shared_communications: int
    numbers: tuple[NumberMove, ...]
    attributes: tuple[AttributeMove, ...]

    @property
    def choices(self) -> list[str]:
        """The names of what a person must choose."""
        names = [*(move.choice for move in self.numbers), *(move.choice for move in self.attributes)]
        return [name for name in names if name]

    @property
    def fingerprint(self) -> str:
        """Of what a person decides about. Further communications change nothing in that."""
        accounts = [
            [account.id, account.name, account.email, account.active] for account in (self.staying, self.leaving)
        ]
        numbers = [[m.leaving.number, m.leaving.receives_sms, m.is_opted_out, m.choice] for m in self.numbers]
        attributes = [[m.key, m.before, m.after] for m in self.attributes]
        return hashlib.sha256(json.dumps([accounts, numbers, attributes]).encode()).hexdigest()


def plan_merge(staying_id: int, leaving_id: int, actor_id: int | None) -> MergePlan:
    """Raises `ActionRefused` if these two cannot be merged."""
    staying, leaving = db.session.get(Account, staying_id), db.session.get(Account, leaving_id)
    if staying is None or leaving is None:
        raise ActionRefused(_("One of these accounts does not exist any more."))
    require_permission(actor_id, staying, leaving)
    if problem := merge_problem(staying, leaving):
        raise ActionRefused(problem)
    own = {phone.number: phone for phone in phones_of(staying_id)}
    numbers = tuple(NumberMove(p, own.get(p.number), _is_opted_out(p.number)) for p in phones_of(leaving_id))
    if len(own.keys() | {move.leaving.number for move in numbers}) > MAX_NUMBERS_PER_ACCOUNT:
        limit = MAX_NUMBERS_PER_ACCOUNT
        raise ActionRefused(_("Together they have more than %(limit)s phone numbers. Remove some first.", limit=limit))
    moving, shared = merged_rows.count_communications(leaving_id, staying_id)
    return MergePlan(staying, leaving, moving, shared, numbers, _attribute_moves(staying_id, leaving_id))


def merge_problem(staying: Account, leaving: Account) -> str:
    if staying.id == leaving.id:
        return _("An account cannot be merged with itself. Choose another one.")
    if staying.erased_at_ms or leaving.erased_at_ms:
        return _("The personal data of one of these accounts was erased, so they cannot be merged.")
    if leaving.merged_into_id:
        return _("Account %(account)s was merged already.", account=leaving.external_id)
    if not staying.active:
        return _("Account %(account)s is not active, so it cannot be the one that stays.", account=staying.external_id)
    return ""


def _is_opted_out(number: str) -> bool:
    state = phone_state(number)
    return state is not None and state.stopped_at_ms is not None


def _attribute_moves(staying_id: int, leaving_id: int) -> tuple[AttributeMove, ...]:
    values = values_of([staying_id, leaving_id])
    own, others = values.get(staying_id, {}), values.get(leaving_id, {})
    moves = [AttributeMove(a.key, a.label, own.get(a.key, ""), others.get(a.key, "")) for a in all_attributes()]
    return tuple(move for move in moves if move.after and move.after != move.before)


def merge_accounts(
    staying_id: int, leaving_id: int, chosen: dict[str, str], fingerprint: str, actor: Actor, now_ms: int
) -> None:
    """`chosen` has `STAYING` or `LEAVING` for each of the plan's `choices`, `fingerprint` is that of the plan shown.

    Raises `ActionRefused`, also if what would move has changed since. Messages that wait for the account that leaves
    move as well; of a send that both got, the one that leaves gets nothing any more.
    """
    is_fan_out_running = bool(unfinished_send_ids(now_ms))
    with transaction():
        ledger.lock_ledger()
        lock_accounts(staying_id, leaving_id)
        plan = plan_merge(staying_id, leaving_id, actor.account_id)
        _check(plan, chosen, fingerprint, actor, is_fan_out_running)
        detail = _move(plan, chosen, actor, now_ms)
        detail |= {"to_account": plan.staying.external_id, "account_id": staying_id}
        subject = f"account {plan.leaving.external_id}"
        record_audit_entry("account_merged", subject, actor.account_id, now_ms, **detail)


def _check(plan: MergePlan, chosen: dict[str, str], fingerprint: str, actor: Actor, is_fan_out_running: bool) -> None:
    if plan.fingerprint != fingerprint:
        raise ActionRefused(_("One of the accounts has changed since this page was opened. Check it, then merge."))
    if any(chosen.get(name) not in (STAYING, LEAVING) for name in plan.choices):
        raise ActionRefused(_("Choose what is kept wherever both accounts have something."))
    if is_fan_out_running:
        raise ActionRefused(_("A send is being prepared. Try again when its messages are prepared, in a minute or so."))
    if plan.leaving.active:
        require_can_go(plan.leaving, actor.account_id)


def _move(plan: MergePlan, chosen: dict[str, str], actor: Actor, now_ms: int) -> dict[str, Any]:
    staying_id, leaving_id = plan.staying.id, plan.leaving.id
    moved = merged_rows.move_communications(leaving_id, staying_id)
    merged_rows.move_rows(leaving_id, staying_id)
    dropped = {move.leaving.number for move in plan.numbers if chosen.get(move.choice) == STAYING}
    numbers = take_over_numbers(leaving_id, staying_id, dropped, actor, now_ms)
    taken = {move.key: move.after for move in plan.attributes if chosen.get(move.choice) != STAYING}
    store_attributes(plan.staying, check_attributes(taken, None), actor.account_id, now_ms)
    language = plan.staying.language or plan.leaving.language
    store_fields(plan.staying, {"language": language}, actor.account_id, now_ms)
    ended = end_account(plan.leaving, now_ms)
    delete_identities(leaving_id)
    delete_second_factors(leaving_id)
    plan.leaving.merged_into_id = staying_id
    return {"communications": moved, "numbers": numbers, "ended_messages": ended}
