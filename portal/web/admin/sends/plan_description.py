"""What a send would do, in words: how long its texts take, what they cost, and what holds it back."""

from dataclasses import dataclass
from typing import Any

from flask import url_for

from portal.accounts.tables.attributes import find_attribute
from portal.core.rules.routing import SIMULATED_MODES, Reason
from portal.core.translation import N_, join_words, ngettext
from portal.core.translation import gettext as _
from portal.sends.forecast import Forecast
from portal.sends.rules.completion_forecast import BlockReason
from portal.sends.send_creation import SendPlan
from portal.sends.send_preview import SEGMENT_SAMPLE_SIZE, WITHOUT_VALUE
from portal.web.access import has_role
from portal.web.layout import current_email_route, current_gateway, is_sms_visible
from portal.web.template_filters import format_dollars
from portal.web.time_display import format_duration

_ASK_SYSADMIN = N_("Ask a system administrator.")
_SETTINGS_BY_REASON = {Reason.FEATURE_OFF: "EnableSmsNotifications", Reason.NOT_CONFIGURED: "SmsGatewaySettings"}


@dataclass(frozen=True)
class Blocker:
    """Why some messages do not leave now, what to do, and the page for that (no address: ask somebody)."""

    problem: str
    remedy: str
    url: str = ""


def plan_values(plan: SendPlan) -> dict[str, Any]:
    """What `admin/sends/planning/_plan.html` needs."""
    return {
        "plan": plan,
        "texts_line": describe_texts(plan),
        "plan_blockers": blockers(plan),
        "missing_values": [
            (f"{WITHOUT_VALUE}{key}", _attribute_label(key), count) for key, count in plan.missing_values.items()
        ],
        "sample_size": SEGMENT_SAMPLE_SIZE,
    }


def describe_texts(plan: SendPlan) -> str:
    """“301 segments, about 5 minutes at 1 a second, about $2.38”; "" without texts."""
    if not plan.texts or not is_sms_visible():
        return ""
    exact = ngettext("%(num)s segment", "%(num)s segments", plan.segments)
    about = ngettext("about %(num)s segment", "about %(num)s segments", plan.segments)
    facts = [exact if plan.segments_are_exact else about]
    if plan.forecast and plan.forecast.last_text_at_ms is not None:
        facts.append(_describe_duration(plan.forecast, plan.forecast.last_text_at_ms - plan.planned_at_ms))
    if plan.price is not None and current_gateway().switches.mode not in SIMULATED_MODES:
        facts.append(_("about %(price)s", price=format_dollars(plan.price)))
    return ", ".join(facts)


def _describe_duration(forecast: Forecast, milliseconds: int) -> str:
    rate = f"{round(forecast.segments_per_second, 2):g}"
    return _("about %(duration)s at %(rate)s a second", duration=format_duration(milliseconds), rate=rate)


def blockers(plan: SendPlan) -> list[Blocker]:
    """Most important first."""
    if not plan.emails:
        return [_nobody_blocker(plan)]
    found = [_text_blocker(plan)] if is_sms_visible() else []
    if current_email_route().has_no_destination:
        setting = _setting_page("EmailOverrideAddress")
        found.append(_blocker(_("The email override has no address, so emails wait."), setting))
    return [blocker for blocker in found if blocker]


def _nobody_blocker(plan: SendPlan) -> Blocker:
    template_page = url_for("admin_templates.edit", template_id=plan.template.template_id)
    if plan.unfilled.people:
        problem = _("The template cannot be filled in for anybody in this audience, so nobody gets this message.")
        return Blocker(problem, _("Open the template"), template_page)
    problem = ngettext(
        "Nobody in this audience has a value for %(attributes)s, so nobody gets this message. Fill it in for these "
        "people, or give it a default in the template.",
        "Nobody in this audience has a value for each of %(attributes)s, so nobody gets this message. Fill them in for "
        "these people, or give them a default in the template.",
        len(plan.missing_values),
        attributes=join_words([_attribute_label(key) for key in plan.missing_values]),
    )
    return Blocker(problem, _("Open the template"), template_page)


def _attribute_label(key: str) -> str:
    attribute = find_attribute(key)
    return attribute.label if attribute else key


def _text_blocker(plan: SendPlan) -> Blocker | None:
    reasons = dict(plan.reasons)
    for reason, setting in _SETTINGS_BY_REASON.items():
        if reason in reasons:
            return _blocker(_("%(reason)s, so nobody gets a text.", reason=_(reason.label)), _setting_page(setting))
    block_reason = plan.forecast.block_reason if plan.forecast else None
    if block_reason is None:
        return None
    problem = _("%(reason)s, so texts wait.", reason=_(block_reason.label))
    return _blocker(problem, _page_for(block_reason))


def _page_for(reason: BlockReason) -> str:
    if reason in (BlockReason.PROVIDER_UNAVAILABLE, BlockReason.NO_WORKER):
        return url_for("sysadmin_harness.page", _anchor="doctor")
    return url_for("sysadmin_queues.page")


def _setting_page(name: str) -> str:
    return url_for("sysadmin_config.edit", name=name)


def _blocker(problem: str, url: str) -> Blocker:
    return Blocker(problem, _("Correct this"), url) if has_role("sysadmin") else Blocker(problem, _(_ASK_SYSADMIN))
