"""The faults as a form: the common ones; the JSON address takes them all."""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from simulator.fault_json import FaultError, faults_json, parse_faults, started_with
from simulator.faults import FINALS, RULE_KINDS, SMTP_EXTENSIONS, SMTP_KINDS, Faults, Rule
from simulator.pages.render import page
from simulator.world import WORLD

_SPANS = ("latency_ms", "delay_ms")


async def show_faults(request: web.Request) -> web.Response:
    faults = request.app[WORLD].faults
    return _page(faults, _values(faults))


async def set_faults(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    form = {name: str(value).strip() for name, value in (await request.post()).items()}
    if "clear" in form:
        world.faults = started_with(world.settings)
        raise web.HTTPSeeOther("/faults")
    try:
        world.faults = parse_faults(_from_form(form), world.settings)
    except FaultError as error:
        return _page(world.faults, {**_values(world.faults), **form}, str(error))
    raise web.HTTPSeeOther("/faults")


def _page(faults: Faults, values: Mapping[str, Any], error: str = "") -> web.Response:
    return page(
        "faults.html",
        400 if error else 200,
        values=values,
        error=error,
        in_force=json.dumps(faults_json(faults), indent=2),
        more_rules=len(faults.rules) > 1 or len(faults.smtp) > 1,
        kinds=RULE_KINDS,
        finals=FINALS,
        smtp_kinds=SMTP_KINDS,
        extensions=SMTP_EXTENSIONS,
    )


def _values(faults: Faults) -> dict[str, Any]:
    """What the fields show: what is in force."""
    receipts = faults.receipts
    return {
        "latency_ms_low": _plain(faults.latency_ms[0]),
        "latency_ms_high": _plain(faults.latency_ms[1]),
        "rate": _plain(faults.rate),
        "list_stale_ms": _plain(faults.list_stale_ms),
        "delay_ms_low": _plain(receipts.delay_ms[0]),
        "delay_ms_high": _plain(receipts.delay_ms[1]),
        "drop": _plain(receipts.drop * 100),
        "duplicate": receipts.duplicate,
        "reorder": "on" if receipts.reorder else "",
        "final": receipts.final or "",
        "error_code": receipts.error_code or "",
        **_rule_values("api", faults.rules),
        **_rule_values("smtp", faults.smtp),
        "smtp_extensions": ", ".join(faults.smtp_extensions),
    }


def _rule_values(prefix: str, rules: list[Rule]) -> dict[str, Any]:
    rule = rules[0] if rules else Rule(kind="")
    return {
        f"{prefix}_kind": rule.kind,
        f"{prefix}_percent": _plain(rule.probability * 100),
        f"{prefix}_count": "" if rule.left is None else rule.left,
        f"{prefix}_to": rule.to or "",
        f"{prefix}_seconds": _plain(rule.seconds),
        f"{prefix}_code": rule.code or "",
        f"{prefix}_words": rule.words or "",
        f"{prefix}_mails": rule.mails,
    }


def _from_form(form: Mapping[str, str]) -> dict[str, Any]:
    return {
        "latency_ms": _span(form, "latency_ms"),
        "rate": _number(form, "rate"),
        "list_stale_ms": _number(form, "list_stale_ms"),
        "rules": _rules(form, "api"),
        "smtp": _rules(form, "smtp"),
        "smtp_extensions": _words(form, "smtp_extensions"),
        "receipts": {
            "delay_ms": _span(form, "delay_ms"),
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
        "words": form.get(f"{prefix}_words") or None,
        "mails": _number(form, f"{prefix}_mails"),
    }
    return [{name: value for name, value in rule.items() if value is not None}]


def _span(form: Mapping[str, str], name: str) -> list[float] | None:
    low = _number(form, f"{name}_low")
    high = _number(form, f"{name}_high")
    if low is None:
        return None
    return [low, low if high is None else high]


def _number(form: Mapping[str, str], name: str) -> float | None:
    text = form.get(name, "")
    if not text:
        return None
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        raise FaultError(f"{name.replace('_', ' ')} must be a number.") from None


def _words(form: Mapping[str, str], name: str) -> list[str] | None:
    return form[name].replace(",", " ").split() if name in form else None


def _plain(number: float) -> str:
    return f"{number:.10g}"
