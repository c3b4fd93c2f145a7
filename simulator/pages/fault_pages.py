"""The form for the most common faults. The control API accepts all of them."""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from simulator.faults.fault_parsing import initial_faults, parse_faults
from simulator.faults.fields import FaultError
from simulator.faults.kinds import API_RULE_KINDS, FINAL_OUTCOMES, SMTP_EXTENSIONS, SMTP_RULE_KINDS
from simulator.faults.model import FaultRule, Faults
from simulator.faults.serialization import faults_json
from simulator.pages.page_rendering import page
from simulator.state import STATE


async def show_faults(request: web.Request) -> web.Response:
    faults = request.app[STATE].faults
    return _faults_page(faults, _form_values(faults))


async def set_faults(request: web.Request) -> web.Response:
    state = request.app[STATE]
    form = {name: str(value).strip() for name, value in (await request.post()).items()}
    if "clear" in form:
        state.faults = initial_faults(state.settings)
        raise web.HTTPSeeOther("/faults")
    try:
        state.faults = parse_faults(_settings_from_form(form), state.settings)
    except FaultError as error:
        return _faults_page(state.faults, {**_form_values(state.faults), **form}, str(error))
    raise web.HTTPSeeOther("/faults")


def _faults_page(faults: Faults, values: Mapping[str, Any], error: str = "") -> web.Response:
    return page(
        "faults.html",
        400 if error else 200,
        values=values,
        error=error,
        current_faults=json.dumps(faults_json(faults), indent=2),
        has_more_rules=len(faults.rules) > 1 or len(faults.smtp) > 1,
        api_kinds=API_RULE_KINDS,
        final_outcomes=FINAL_OUTCOMES,
        smtp_kinds=SMTP_RULE_KINDS,
        smtp_extensions=SMTP_EXTENSIONS,
    )


def _form_values(faults: Faults) -> dict[str, Any]:
    """The form fields with the current faults."""
    receipts = faults.receipts
    return {
        "latency_ms_low": _format(faults.latency_ms[0]),
        "latency_ms_high": _format(faults.latency_ms[1]),
        "rate": _format(faults.rate),
        "list_stale_ms": _format(faults.list_stale_ms),
        "delay_ms_low": _format(receipts.delay_ms[0]),
        "delay_ms_high": _format(receipts.delay_ms[1]),
        "drop": _format(receipts.drop * 100),
        "duplicate": receipts.duplicate,
        "reorder": "on" if receipts.reorder else "",
        "final": receipts.final or "",
        "error_code": receipts.error_code or "",
        **_rule_values("api", faults.rules),
        **_rule_values("smtp", faults.smtp),
        "smtp_extensions": ", ".join(faults.smtp_extensions),
    }


def _rule_values(prefix: str, rules: list[FaultRule]) -> dict[str, Any]:
    rule = rules[0] if rules else FaultRule(kind="")
    return {
        f"{prefix}_kind": rule.kind,
        f"{prefix}_percent": _format(rule.probability * 100),
        f"{prefix}_count": "" if rule.left is None else rule.left,
        f"{prefix}_to": rule.to or "",
        f"{prefix}_seconds": _format(rule.seconds),
        f"{prefix}_code": rule.code or "",
        f"{prefix}_reply": rule.reply or "",
        f"{prefix}_max_emails": rule.max_emails,
    }


def _settings_from_form(form: Mapping[str, str]) -> dict[str, Any]:
    return {
        "latency_ms": _range(form, "latency_ms"),
        "rate": _number(form, "rate"),
        "list_stale_ms": _number(form, "list_stale_ms"),
        "rules": _rules(form, "api"),
        "smtp": _rules(form, "smtp"),
        "smtp_extensions": form["smtp_extensions"].replace(",", " ").split() if "smtp_extensions" in form else None,
        "receipts": {
            "delay_ms": _range(form, "delay_ms"),
            "drop": (_number(form, "drop") or 0) / 100,
            "duplicate": _number(form, "duplicate"),
            "reorder": "reorder" in form,
            "final": form.get("final") or None,
            "error_code": _number(form, "error_code"),
        },
    }


def _rules(form: Mapping[str, str], prefix: str) -> list[dict[str, Any]]:
    if not form.get(f"{prefix}_kind"):
        return []
    percent = _number(form, f"{prefix}_percent")
    rule = {
        "kind": form[f"{prefix}_kind"],
        "probability": 1 if percent is None else percent / 100,
        "count": _number(form, f"{prefix}_count"),
        "to": form.get(f"{prefix}_to") or None,
        "seconds": _number(form, f"{prefix}_seconds"),
        "code": _number(form, f"{prefix}_code"),
        "reply": form.get(f"{prefix}_reply") or None,
        "max_emails": _number(form, f"{prefix}_max_emails"),
    }
    return [{name: value for name, value in rule.items() if value is not None}]


def _range(form: Mapping[str, str], name: str) -> list[float] | None:
    low, high = _number(form, f"{name}_low"), _number(form, f"{name}_high")
    return None if low is None else [low, low if high is None else high]


def _number(form: Mapping[str, str], name: str) -> float | None:
    text = form.get(name, "")
    if not text:
        return None
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        raise FaultError(f"{name.replace('_', ' ')} must be a number.") from None


def _format(number: float) -> str:
    return f"{number:.10g}"
