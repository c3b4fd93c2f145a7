"""Faults as JSON: read with every value checked, and written back as they stand."""

import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from simulator.faults import (
    ACCOUNT_STATES,
    ACCOUNT_TYPES,
    CALL_KINDS,
    CAMPAIGN_STATES,
    FINALS,
    NUMBER_TYPES,
    RULE_KINDS,
    SMTP_EXTENSIONS,
    SMTP_KINDS,
    VERIFICATION_STATES,
    Account,
    Faults,
    Receipts,
    Rule,
    Span,
)
from simulator.settings import Settings

_REPLY = re.compile(r"[45]\d\d [^\r\n]+\Z")


class FaultError(ValueError):
    """A fault that cannot be set; the text says why."""


def started_with(settings: Settings) -> Faults:
    span = (settings.latency_ms, settings.latency_ms)
    return Faults(latency_ms=span, rate=settings.rate, smtp_extensions=settings.smtp_extensions)


def parse_faults(data: object, settings: Settings) -> Faults:
    """The whole setting: what is not named is as the simulator was started. Raises `FaultError`."""
    given = _object(data, "faults")
    normal = started_with(settings)
    faults = Faults(
        latency_ms=_span(given, "latency_ms", normal.latency_ms),
        rate=_number(given, "rate", normal.rate),
        seed=_whole(given, "seed", normal.seed) or 0,
        queue_limit=_whole(given, "queue_limit", None),
        concurrency=_whole(given, "concurrency", None),
        list_stale_ms=_number(given, "list_stale_ms", 0),
        clock_skew_seconds=_signed(given, "clock_skew_seconds"),
        account=_account(_object(given.get("account") or {}, "account")),
        rules=[_rule(each, RULE_KINDS, "create") for each in _list(given, "rules")],
        receipts=_receipts(_object(given.get("receipts") or {}, "receipts")),
        smtp=[_rule(each, SMTP_KINDS, "any") for each in _list(given, "smtp")],
        smtp_extensions=_extensions(given, normal.smtp_extensions),
    )
    _refuse_unknown(given, {each.name for each in fields(Faults)} - {"dice"})
    return faults


def _rule(data: object, kinds: tuple[str, ...], call: str) -> Rule:
    given = _object(data, "a rule")
    _refuse_unknown(given, {each.name for each in fields(Rule)} | {"left"})
    rule = Rule(
        kind=_one_of(given, "kind", kinds) or "",
        probability=_probability(given, "probability", 1.0),
        count=_whole(given, "count", None),
        to=_text(given, "to"),
        call=_one_of(given, "call", CALL_KINDS, call) or call,
        retry_after=_number(given, "retry_after", 0) or None,
        seconds=_number(given, "seconds", 30.0),
        code=_whole(given, "code", None),
        words=_text(given, "words"),
        mails=_whole(given, "mails", 1) or 1,
    )
    if rule.kind.startswith("reply_") and not _REPLY.match(rule.words or ""):
        raise FaultError(f"A rule of kind {rule.kind} needs words, such as 550 5.1.1 No such user.")
    if rule.kind == "reject" and rule.code is None:
        raise FaultError("A rule of kind reject needs a code, such as 21614 or 30007.")
    return rule


def _extensions(given: Mapping[str, Any], normal: tuple[str, ...]) -> tuple[str, ...]:
    if given.get("smtp_extensions") is None:
        return normal
    named = [str(each).upper() for each in _list(given, "smtp_extensions")]
    if not set(named) <= set(SMTP_EXTENSIONS):
        raise FaultError(f"smtp_extensions must be of {', '.join(SMTP_EXTENSIONS)}.")
    return tuple(each for each in SMTP_EXTENSIONS if each in named)


def _receipts(given: Mapping[str, Any]) -> Receipts:
    _refuse_unknown(given, {each.name for each in fields(Receipts)})
    return Receipts(
        delay_ms=_span(given, "delay_ms", Receipts.delay_ms),
        drop=_probability(given, "drop", 0.0),
        duplicate=_whole(given, "duplicate", 0) or 0,
        reorder=bool(given.get("reorder", False)),
        final=_one_of(given, "final", FINALS, ""),
        error_code=_whole(given, "error_code", None),
        probability=_probability(given, "probability", 1.0),
    )


def _account(given: Mapping[str, Any]) -> Account:
    """A null number type, campaign or verification means that there is none."""
    _refuse_unknown(given, {each.name for each in fields(Account)})
    named = {name: value for name, value in given.items() if value is not None}
    return Account(
        status=_one_of(named, "status", ACCOUNT_STATES, Account.status) or "",
        type=_one_of(named, "type", ACCOUNT_TYPES, Account.type) or "",
        sms=bool(named.get("sms", Account.sms)),
        number_type=_nullable(given, "number_type", NUMBER_TYPES, Account.number_type),
        campaign=_nullable(given, "campaign", CAMPAIGN_STATES, Account.campaign),
        toll_free=_nullable(given, "toll_free", VERIFICATION_STATES, Account.toll_free),
    )


def _nullable(given: Mapping[str, Any], name: str, known: tuple[str, ...], default: str | None) -> str | None:
    if name in given and given[name] is None:
        return None
    return _one_of(given, name, known, default)


def faults_json(faults: Faults) -> dict[str, Any]:
    receipts = {each.name: getattr(faults.receipts, each.name) for each in fields(Receipts)}
    return {
        "seed": faults.seed,
        "latency_ms": _span_json(faults.latency_ms),
        "rate": faults.rate,
        "queue_limit": faults.queue_limit,
        "concurrency": faults.concurrency,
        "list_stale_ms": faults.list_stale_ms,
        "clock_skew_seconds": faults.clock_skew_seconds,
        "account": asdict(faults.account),
        "rules": [_rule_json(rule) for rule in faults.rules],
        "receipts": {**receipts, "delay_ms": _span_json(faults.receipts.delay_ms)},
        "smtp": [_rule_json(rule) for rule in faults.smtp],
        "smtp_extensions": list(faults.smtp_extensions),
    }


def _rule_json(rule: Rule) -> dict[str, Any]:
    return {each.name: getattr(rule, each.name) for each in fields(Rule)} | {"left": rule.left}


def _span_json(span: Span) -> float | list[float]:
    return span[0] if span[0] == span[1] else list(span)


def _object(data: object, name: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise FaultError(f"{name} must be a JSON object.")
    return data


def _list(given: Mapping[str, Any], name: str) -> list[object]:
    """One object may stand for a list of one."""
    value = given.get(name)
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _refuse_unknown(given: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise FaultError(f"{', '.join(unknown)}: no such setting; known are {', '.join(sorted(known))}.")


def _number(given: Mapping[str, Any], name: str, default: float) -> float:
    value = given.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise FaultError(f"{name} must be a number of 0 or more.")
    return value


def _signed(given: Mapping[str, Any], name: str) -> float:
    value = given.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FaultError(f"{name} must be a number.")
    return value


def _whole(given: Mapping[str, Any], name: str, default: int | None) -> int | None:
    value = given.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FaultError(f"{name} must be a whole number of 0 or more.")
    return value


def _probability(given: Mapping[str, Any], name: str, default: float) -> float:
    value = _number(given, name, default)
    if value > 1:
        raise FaultError(f"{name} is a probability: it must lie between 0 and 1.")
    return value


def _span(given: Mapping[str, Any], name: str, default: Span) -> Span:
    value = given.get(name)
    if not isinstance(value, list):
        single = _number(given, name, -1)
        return default if value is None else (single, single)
    if len(value) != 2:
        raise FaultError(f"{name} must be a number or a list [low, high].")
    low, high = (_number({name: each}, name, 0) for each in value)
    return (min(low, high), max(low, high))


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise FaultError(f"{name} must be text.")
    return value or None


def _one_of(given: Mapping[str, Any], name: str, known: tuple[str, ...], default: str | None = None) -> str | None:
    """`default` None means that the value is needed; an empty default means that it may be absent."""
    value = given.get(name)
    if value is None and default is not None:
        return default or None
    if str(value) not in known:
        raise FaultError(f"{name} must be one of {', '.join(known)}.")
    return str(value)
