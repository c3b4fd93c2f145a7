"""A send: planned, created, expanded into communications and deliveries."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError

from portal.actions import settings as app_settings
from portal.actions.errors import Invalid, Refused
from portal.actions.forecast import end_of_new_ms
from portal.actions.rendering import render_for
from portal.actions.templates import SAMPLE, Preview, data_fields, preview_with
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain import merge, routing
from portal.domain.merge import MergeError
from portal.domain.routing import Decision, Reason, Switches
from portal.gateways import queue
from portal.models import audience as audiences
from portal.models import template as templates
from portal.models.account import Account, account_types
from portal.models.audience import Recipient
from portal.models.send import Send, by_request_key
from portal.models.template import TemplateVersion

Someone = TypeVar("Someone", Account, Recipient)
CHUNK = 500
TOKEN_LENGTH = 8
Audience = Mapping[str, Any]


@dataclass(frozen=True)
class SendPlan:
    """What a send would do now; `reasons` counts the people who get no text, by why, most first."""

    template: TemplateVersion
    emails: int
    texts: int
    segments: int
    reasons: list[tuple[Reason, int]]
    last_text_at_ms: int | None
    sample_for: str
    sample: Preview


def plan_send(template_key: str, audience: Audience, data: Mapping[str, str], now_ms: int) -> SendPlan:
    """Counts with everybody's real words. Raises `Invalid`; fields `template`, `audience`, `data.<name>`."""
    version = _checked(template_key, audience, data)
    emails, segments, reasons = 0, 0, Counter[Reason]()
    shown: tuple[Account, bool] | None = None
    for account, decision in decisions(version, audience):
        emails += 1
        if shown is None or (decision.goes and not shown[1]):
            shown = account, decision.goes
        if decision.goes:
            segments += render_for(version, account, data, "x" * TOKEN_LENGTH).segments
        elif decision.reason:
            reasons[decision.reason] += 1
    texts = emails - sum(reasons.values())
    last_ms = end_of_new_ms(segments, now_ms)
    name, sample = _sample(version, data, shown)
    return SendPlan(version, emails, texts, segments, reasons.most_common(), last_ms, name, sample)


def _sample(
    version: TemplateVersion, data: Mapping[str, str], shown: tuple[Account, bool] | None
) -> tuple[str, Preview]:
    """What one of the audience gets: somebody who gets a text, if anybody does."""
    if shown is None:
        raise Refused("Nobody is left in this audience.")
    account, texted = shown
    values = merge.values_for(account.name, account.email, account.external_id, account.account_type, data)
    return account.name, preview_with(version.subject, version.body, values, texted)


def create_send(
    template_key: str,
    audience: Audience,
    data: Mapping[str, str],
    author_id: int | None,
    now_ms: int,
    request_key: str | None = None,
) -> int:
    """The id of the send; the same `request_key` gives the same send, so that a double click sends once."""
    version_id = _checked(template_key, audience, data).id
    data = {name: str(value).replace("\x00", "") for name, value in data.items()}
    try:
        send_id = _insert(version_id, audience, data, author_id, now_ms, request_key)
    except IntegrityError:
        send_id = _insert(version_id, audience, data, author_id, now_ms, request_key)
    queue.ring(settings().redis_url, "expand_send", send_id)
    return send_id


def _insert(
    version_id: int,
    audience: Audience,
    data: Mapping[str, str],
    author_id: int | None,
    now_ms: int,
    request_key: str | None,
) -> int:
    """The new send, or the one with this request key; of two at the same moment one fails, and then finds it."""
    with transaction() as session:
        known = by_request_key(request_key) if request_key else None
        send = known or Send(
            template_version_id=version_id,
            audience=dict(audience),
            data=dict(data),
            created_at_ms=now_ms,
            created_by_id=author_id,
            request_key=request_key,
        )
        session.add(send)
        session.flush()
        return send.id


def decisions(version: TemplateVersion, audience: Audience) -> Iterator[tuple[Account, Decision]]:
    """Every account of the audience with whether a text goes, in order of id."""
    switches, after = app_settings.gateway().switches, 0
    while accounts := audiences.accounts_after(audience, after, CHUNK):
        yield from decide_for(accounts, switches, version.sms_enabled)
        after = accounts[-1].id


def decide_for(
    accounts: Sequence[Someone], switches: Switches, sms_enabled: bool
) -> Iterator[tuple[Someone, Decision]]:
    numbers = audiences.numbers_for_routing([account.id for account in accounts])
    for account in accounts:
        yield account, routing.decide(switches, sms_enabled, numbers.get(account.id, []))


def _checked(template_key: str, audience: Audience, data: Mapping[str, str]) -> TemplateVersion:
    template = templates.by_key(template_key)
    if template is None:
        raise Invalid({"template": f"There is no template with the key {template_key!r}."})
    version = templates.version_of(template)
    errors = _data_errors(version, data)
    errors = errors or _rendering_errors(version, data)
    problem = _audience_problem(audience)
    if problem:
        errors["audience"] = problem
    if errors:
        raise Invalid(errors)
    return version


def _rendering_errors(version: TemplateVersion, data: Mapping[str, str]) -> dict[str, str]:
    """The values tried on the template before anything is taken."""
    values = {**SAMPLE, "data": dict(data)}
    try:
        merge.render_subject(version.subject, values)
        merge.render_body(version.body, values)
    except MergeError as error:
        return {"template": f"The template cannot be filled in with these values. {error}"}
    return {}


def _data_errors(version: TemplateVersion, data: Mapping[str, str]) -> dict[str, str]:
    return {
        f"data.{name}": f"The template needs a value for “{name.replace('_', ' ')}”."
        for name in data_fields(version)
        if not str(data.get(name) or "").strip()
    }


def _audience_problem(audience: Audience) -> str | None:
    if set(audience) == {"all"} and audience["all"] is True:
        return None if audiences.count(audience) else "There are no accounts to send to yet."
    if set(audience) == {"account_type"}:
        return _type_problem(str(audience["account_type"]))
    if set(audience) == {"external_ids"} and isinstance(audience["external_ids"], list):
        return _ids_problem([str(external_id) for external_id in audience["external_ids"]])
    return "Choose everyone, an account type, or accounts by their numbers."


def _type_problem(account_type: str) -> str | None:
    types = account_types()
    if account_type in types:
        return None
    return f"Nobody has the account type {account_type!r}. The types are: {', '.join(types)}."


def _ids_problem(external_ids: list[str]) -> str | None:
    if not external_ids:
        return "Give at least one account number."
    unknown = audiences.unknown_external_ids(external_ids)
    if not unknown:
        return None
    shown = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else "")
    return f"No account has the number {shown}. Nothing was sent."
