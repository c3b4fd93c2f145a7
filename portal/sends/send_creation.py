"""Plan a send and create it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from sqlalchemy.exc import IntegrityError

from portal.accounts.tables.accounts import Recipient
from portal.content.message_templates import TemplatePreview, render_preview
from portal.content.rules.merge_fields import MergeError
from portal.content.tables import templates
from portal.content.tables.templates import Template, TemplateVersion
from portal.content.template_words import words_for
from portal.core import audit_log
from portal.core.context import settings
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.rules.routing import Reason
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.gateways import queue
from portal.sends import file_audience, send_preview, send_values
from portal.sends.audience_resolution import Audience, emptiness_problem, problem_of_resolved, resolve_audience
from portal.sends.forecast import Forecast, current_traffic
from portal.sends.rules.audience_conditions import summarize_conditions
from portal.sends.rules.audience_counts import AudienceCounts, UnfilledMessages
from portal.sends.rules.send_state import SendState
from portal.sends.send_preview import SizeEstimate
from portal.sends.tables import audience as audiences
from portal.sends.tables import recipient_files
from portal.sends.tables.sends import Send, find_by_request_key
from portal.settings import app_settings
from portal.settings.rules.text_limits import TextLimits

_Data = Mapping[str, str]


@dataclass(frozen=True)
class SendPlan:
    """What a send would do now, as exact counts except for `segments` if `segments_are_exact` is false.

    `reasons` counts the recipients without a text by reason, most frequent first. `forecast` is None without texts.
    The first texts that wait for the end of quiet hours leave at `deferred_until_ms`.
    `without_message` counts those who get nothing, `missing_values` by attribute, `unfilled` for other values.
    `sample` is empty if that is everybody.
    `by_language` has those who get the same words, if not all do; `untranslated` counts those who have chosen a
    language in which the template says nothing, by that.
    """

    template: TemplateVersion
    emails: int
    texts: int
    segments: int
    segments_are_exact: bool
    reasons: list[tuple[Reason, int]]
    without_message: int
    missing_values: Mapping[str, int]
    unfilled: UnfilledMessages
    forecast: Forecast | None
    deferred_until_ms: int | None
    limits: TextLimits
    sample_recipient: str
    sample: TemplatePreview
    price_per_segment: Decimal | None
    needs_approval: bool
    planned_at_ms: int
    by_language: Sequence[AudienceCounts]
    untranslated: Mapping[str, int]
    deactivated: int
    """Who would get it too if their accounts were not deactivated. They are in no other count."""

    @property
    def price(self) -> Decimal | None:
        """In US dollars, of all its texts."""
        return None if self.price_per_segment is None else self.price_per_segment * self.segments


def plan_send(template_key: str, audience: Audience, data: _Data, now_ms: int) -> SendPlan:
    """Raises `InvalidInput` for `template`, `audience` or `data.<name>`."""
    audience = resolve_audience(audience, now_ms)
    version, data = _validated(template_key, audience, data)
    return plan_version(version, audience, data, now_ms)


def plan_version(version: TemplateVersion, audience: Audience, data: _Data, now_ms: int) -> SendPlan:
    """Also for a send that exists and has not begun. Raises `ActionRefused` if nobody is left in the audience."""
    counts = send_preview.count_audience(version, audience, data, now_ms)
    estimate = send_preview.estimate_segments(version, data, counts)
    if estimate.example is None and not counts.without_message:
        raise ActionRefused(_("There are no recipients left in this audience."))
    send_settings = app_settings.current_send_settings()
    return SendPlan(
        template=version,
        emails=counts.emails,
        texts=counts.texts,
        segments=round(estimate.backlog.segments),
        segments_are_exact=estimate.is_exact,
        reasons=counts.reasons,
        without_message=counts.without_message,
        missing_values=counts.missing_values,
        unfilled=counts.unfilled,
        forecast=current_traffic(now_ms).forecast_new_send(version, estimate.backlog),
        deferred_until_ms=counts.deferred_until_ms,
        limits=app_settings.current_text_limits(),
        sample_recipient=estimate.example.name if estimate.example else "",
        sample=_sample_message(version, audience, data, estimate),
        price_per_segment=send_settings.price_per_segment,
        needs_approval=send_settings.needs_approval(counts.emails),
        planned_at_ms=now_ms,
        by_language=[part for part in counts.by_language if part.emails],
        untranslated=counts.untranslated,
        deactivated=audiences.count_deactivated(audience),
    )


def people_of_plan(
    template_key: str, audience: Audience, data: _Data, count: str, after_id: int, limit: int, now_ms: int
) -> list[Recipient]:
    """The next people behind a count of `plan_send` (`send_preview.people_behind`). Raises `InvalidInput`."""
    audience = resolve_audience(audience, now_ms)
    if problem := problem_of_resolved(audience):
        raise InvalidInput({"audience": problem})
    version = templates.find_template_version(_template(template_key))
    data = send_values.complete_values(version, data)
    return send_preview.people_behind(version, audience, data, count, after_id, limit, now_ms)


def _sample_message(
    version: TemplateVersion, audience: Audience, data: _Data, estimate: SizeEstimate
) -> TemplatePreview:
    recipient = estimate.example
    if recipient is None:
        return TemplatePreview("", "", None)
    data = recipient_files.values_by_account(audience, data, [recipient.id])[recipient.id]
    values = send_values.recipient_values(recipient, data)
    try:
        words = words_for(version.all_words, recipient.language)
        return render_preview(words, values, estimate.example_gets_text)
    except MergeError as error:
        message = _(
            "The template cannot be filled in for %(name)s, %(account)s. %(problem)s",
            name=recipient.name,
            account=recipient.external_id,
            problem=str(error),
        )
        raise InvalidInput({"template": message}) from error


def create_send(
    template_key: str,
    audience: Audience,
    data: _Data,
    author_id: int | None,
    now_ms: int,
    request_key: str = "",
    undo_seconds: int = 0,
    shown_send_id: int | None = None,
    tries_recipients: bool = True,
    start_deadline_ms: int | None = None,
    version: TemplateVersion | None = None,
) -> int:
    """The id of the send. Repeating a `request_key` returns the same send, so that a double click sends once.

    A send to many waits for approval. Any other begins after `undo_seconds`, or at once if the template is urgent.
    `shown_send_id`: see `file_audience.record_use`.
    If it waits for approval, that is late after `start_deadline_ms`.
    Unless it `tries_recipients`, a value that one of them lacks does not stop it: the fan-out reports it.
    `version` may be an earlier one than the current one.
    """
    audience = resolve_audience(audience, now_ms)
    version, data = _validated(template_key, audience, data, tries_recipients=tries_recipients, version=version)
    counts = send_preview.count_audience(version, audience, data, now_ms)
    begins_at_ms = starts_at_ms(version, now_ms, undo_seconds)
    send = _NewSend(version, audience, data, author_id, now_ms, request_key, counts, shown_send_id, start_deadline_ms)
    try:
        send_id = _insert_or_find(send, begins_at_ms)
    except IntegrityError:
        send_id = _insert_or_find(send, begins_at_ms)
    if not send.needs_approval and begins_at_ms <= now_ms:
        queue.enqueue(settings().redis_url, "fan_out_send", send_id)
    return send_id


@dataclass(frozen=True)
class _NewSend:
    """What `create_send` was given, checked and counted."""

    version: TemplateVersion
    audience: Audience
    data: Mapping[str, str]
    author_id: int | None
    now_ms: int
    request_key: str
    counts: AudienceCounts
    shown_send_id: int | None
    start_deadline_ms: int | None

    @cached_property
    def needs_approval(self) -> bool:
        return app_settings.current_send_settings().needs_approval(self.counts.emails)

    def row(self, begins_at_ms: int) -> Send:
        return Send(
            state=SendState.AWAITING_APPROVAL if self.needs_approval else SendState.QUEUED,
            starts_at_ms=begins_at_ms,
            template_version_id=self.version.id,
            audience=audiences.guarded(self.audience),
            data=self.data,
            planned_texts=self.counts.texts,
            created_at_ms=self.now_ms,
            created_by_id=self.author_id,
            request_key=self.request_key or None,
            start_deadline_ms=self.start_deadline_ms,
        )

    def audit_detail(self) -> dict[str, Any]:
        detail = {"template": self.version.template.key, "version": self.version.number}
        return {**detail, **_audience_detail(self.audience), "mails": self.counts.emails, "texts": self.counts.texts}


def starts_at_ms(version: TemplateVersion, now_ms: int, undo_seconds: int) -> int:
    """0 for a send that begins at once; the scheduler starts one that begins later."""
    return 0 if version.urgent or not undo_seconds else now_ms + 1000 * undo_seconds


def _insert_or_find(new: _NewSend, begins_at_ms: int) -> int:
    """Raises `IntegrityError` if another request with the same key is committed in the meantime."""
    send, detail = new.row(begins_at_ms), new.audit_detail()
    with transaction() as session:
        existing = find_by_request_key(new.request_key) if new.request_key else None
        if existing:
            return existing.id
        session.add(send)
        session.flush()
        file_audience.record_use(send.audience, send.id, new.now_ms, new.shown_send_id)
        audit_log.record_audit_entry("send_created", f"send {send.id}", new.author_id, new.now_ms, **detail)
        return send.id


def _audience_detail(audience: Audience) -> dict[str, Any]:
    """The audience as the audit log records it."""
    if "resend" in audience:
        return {"again_of": audience["source_send"]}
    if "round_of" in audience:
        return {f"to_{audience['outcome']}_of": audience["round_of"]}
    if file := file_audience.file_of(audience):
        return {"to_file": file.file_name}
    if "schedule_run" in audience:
        return {}
    staff = {"administrators": "left out"} if audience.get("staff") is False else {}
    if "conditions" in audience:
        return {"to_conditions": summarize_conditions(audience), **staff}
    if "external_ids" in audience:
        return {"to_chosen_accounts": len(audience["external_ids"])}
    return {"to": "everyone", **staff} if "all" in audience else {"to_account_type": audience["account_type"], **staff}


def _validated(
    template_key: str,
    audience: Audience,
    data: _Data,
    may_be_empty: bool = False,
    tries_recipients: bool = True,
    version: TemplateVersion | None = None,
) -> tuple[TemplateVersion, dict[str, str]]:
    """The template version, by default the current one, and the values with omitted fields blank.

    Raises `InvalidInput`.
    """
    version = version or templates.find_template_version(_template(template_key))
    values = send_values.complete_values(version, data)
    file_fields = file_audience.file_fields(audience)
    errors = send_values.value_problems(version, values, file_fields)
    if problem := problem_of_resolved(audience) or (None if may_be_empty else emptiness_problem(audience)):
        errors["audience"] = problem
    if "template" not in errors and (problem := file_audience.file_problem(version, audience)):
        errors = {"audience": problem}
    if not errors and tries_recipients and not file_audience.is_checked(version, audience, values):
        errors = send_values.first_recipient_problem(version, audience, values)
    # The form has no field for a value that the file has for each person.
    errors = {"audience" if name in map("data.{}".format, file_fields) else name: errors[name] for name in errors}
    if errors:
        raise InvalidInput(errors)
    return version, values


def _template(key: str) -> Template:
    template = templates.find_template(key)
    if template is None:
        raise InvalidInput({"template": _("There is no template with the key “%(key)s”.", key=key)})
    return template


def check_send(template_key: str, audience: Audience, data: _Data, now_ms: int) -> None:
    """Raises `InvalidInput` as `create_send` would, but for an audience in which nobody is at the moment."""
    _validated(template_key, resolve_audience(audience, now_ms), data, may_be_empty=True)
