"""A send: planned, created, expanded into communications and deliveries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError

from portal.accounts.tables.accounts import account_types, find_by_external_ids
from portal.content.message_templates import TemplatePreview, render_preview
from portal.content.rules import merge_fields
from portal.content.rules.merge_fields import MergeError
from portal.content.tables import templates
from portal.content.tables.templates import TemplateVersion
from portal.core.context import settings
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.rules import text_input
from portal.core.rules.routing import Reason
from portal.core.transaction import transaction
from portal.gateways import queue
from portal.sends import send_preview, send_values
from portal.sends.forecast import Forecast, current_traffic
from portal.sends.send_preview import SizeEstimate
from portal.sends.tables import audience as audiences
from portal.sends.tables.sends import Send, find_by_request_key

Audience = Mapping[str, Any]


@dataclass(frozen=True)
class SendPlan:
    """What a send would do now. All is counted, but for `segments` where `segments_are_exact` is false.

    `reasons` counts the people who get no text, by why, most first. `forecast` is None when there is no text.
    """

    template: TemplateVersion
    emails: int
    texts: int
    segments: int
    segments_are_exact: bool
    reasons: list[tuple[Reason, int]]
    forecast: Forecast | None
    sample_recipient: str
    sample: TemplatePreview


def plan_send(template_key: str, audience: Audience, data: Mapping[str, str], now_ms: int) -> SendPlan:
    """Raises `Invalid`; fields `template`, `audience`, `data.<name>`."""
    audience = _with_stored_ids(audience)
    version, data = _validated(template_key, audience, data)
    found = send_preview.count_audience(version, audience, now_ms)
    weighed = send_preview.estimate_segments(version, audience, data, found)
    name, sample = _sample_message(version, data, weighed)
    return SendPlan(
        template=version,
        emails=found.emails,
        texts=found.texts,
        segments=round(weighed.backlog.segments),
        segments_are_exact=weighed.is_exact,
        reasons=found.reasons,
        forecast=current_traffic(now_ms).forecast_new_send(version, weighed.backlog),
        sample_recipient=name,
        sample=sample,
    )


def _sample_message(
    version: TemplateVersion, data: Mapping[str, str], weighed: SizeEstimate
) -> tuple[str, TemplatePreview]:
    """What one of the audience gets: somebody who gets a text, if anybody does."""
    someone = weighed.example
    if someone is None:
        raise ActionRefused("Nobody is left in this audience.")
    values = merge_fields.merge_values(someone.name, someone.email, someone.external_id, someone.account_type, data)
    try:
        return someone.name, render_preview(version.subject, version.body, values, weighed.example_gets_text)
    except MergeError as error:
        words = f"The template cannot be filled in for {someone.name}, {someone.external_id}. {error}"
        raise InvalidInput({"template": words}) from error


def create_send(
    template_key: str,
    audience: Audience,
    data: Mapping[str, str],
    author_id: int | None,
    now_ms: int,
    request_key: str | None = None,
) -> int:
    """The id of the send; the same `request_key` gives the same send, so that a double click sends once."""
    audience = _with_stored_ids(audience)
    version, data = _validated(template_key, audience, data)
    new = {
        "template_version_id": version.id,
        "audience": dict(audience),
        "data": data,
        "planned_texts": send_preview.count_audience(version, audience, now_ms).texts,
        "created_at_ms": now_ms,
        "created_by_id": author_id,
        "request_key": request_key,
    }
    try:
        send_id = _insert_or_find(new)
    except IntegrityError:
        send_id = _insert_or_find(new)
    queue.enqueue(settings().redis_url, "fan_out_send", send_id)
    return send_id


def _insert_or_find(new: dict[str, Any]) -> int:
    """The new send, or the one with its request key; of two at the same moment one fails, and then finds it."""
    with transaction() as session:
        known = find_by_request_key(new["request_key"]) if new["request_key"] else None
        send = known or Send(**new)
        session.add(send)
        session.flush()
        return send.id


def _validated(
    template_key: str, audience: Audience, given: Mapping[str, str]
) -> tuple[TemplateVersion, dict[str, str]]:
    """The version that would go, and its values with what was left blank."""
    template = templates.find_template(template_key)
    if template is None:
        raise InvalidInput({"template": f"There is no template with the key {template_key!r}."})
    version = templates.find_template_version(template)
    data = send_values.complete_values(version, given)
    errors = send_values.value_problems(version, data)
    problem = _audience_problem(audience)
    if problem:
        errors["audience"] = problem
    errors = errors or send_values.first_recipient_problem(version, audience, data)
    if errors:
        raise InvalidInput(errors)
    return version, data


def _with_stored_ids(audience: Audience) -> Audience:
    """Account numbers as their accounts write them, each once; what is no account's stays, to be named."""
    numbers = audience.get("external_ids")
    if not isinstance(numbers, list):
        return audience
    typed = [text_input.clean_code(str(number)) for number in numbers]
    known = find_by_external_ids(typed)
    stored = (known[number].external_id if number in known else number for number in typed)
    return {**audience, "external_ids": list(dict.fromkeys(stored))}


def _audience_problem(audience: Audience) -> str | None:
    if set(audience) == {"all"} and audience["all"] is True:
        return None if audiences.count_recipients(audience) else "There are no accounts to send to yet."
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
