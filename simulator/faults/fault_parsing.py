"""Parse and validate fault settings from JSON."""

import re
from dataclasses import fields

from simulator.faults.fields import (
    FaultError,
    Fields,
    check_names,
    json_list,
    json_object,
    milliseconds,
    non_negative,
    number,
    one_of,
    one_of_or_null,
    probability,
    text,
    whole_number,
)
from simulator.faults.kinds import (
    ACCOUNT_STATUSES,
    ACCOUNT_TYPES,
    API_RULE_KINDS,
    CALL_KINDS,
    CAMPAIGN_STATUSES,
    FINAL_OUTCOMES,
    NUMBER_TYPES,
    SMTP_EXTENSIONS,
    SMTP_RULE_KINDS,
    VERIFICATION_STATUSES,
)
from simulator.faults.model import AccountFaults, FaultRule, Faults, ReceiptFaults
from simulator.settings import SimulatorSettings

_SMTP_REPLY = re.compile(r"[45]\d\d [^\r\n]+\Z")


def initial_faults(settings: SimulatorSettings) -> Faults:
    latency_ms = (settings.latency_ms, settings.latency_ms)
    return Faults(latency_ms=latency_ms, rate=settings.rate, smtp_extensions=settings.smtp_extensions)


def parse_faults(data: object, settings: SimulatorSettings) -> Faults:
    """Parse all fault settings. Missing ones get their initial values. Raises `FaultError`."""
    data = json_object(data, "faults")
    initial = initial_faults(settings)
    faults = Faults(
        latency_ms=milliseconds(data, "latency_ms", initial.latency_ms),
        rate=non_negative(data, "rate", initial.rate),
        seed=whole_number(data, "seed", initial.seed) or 0,
        queue_limit=whole_number(data, "queue_limit", None),
        concurrency=whole_number(data, "concurrency", None),
        list_stale_ms=non_negative(data, "list_stale_ms", 0),
        clock_skew_seconds=number(data, "clock_skew_seconds"),
        account=_account(json_object(data.get("account") or {}, "account")),
        rules=[_rule(rule, API_RULE_KINDS, "create") for rule in json_list(data, "rules")],
        receipts=_receipts(json_object(data.get("receipts") or {}, "receipts")),
        smtp=[_rule(rule, SMTP_RULE_KINDS, "any") for rule in json_list(data, "smtp")],
        smtp_extensions=_extensions(data, initial.smtp_extensions),
    )
    check_names(data, {field.name for field in fields(Faults)} - {"rng"})
    return faults


def _rule(data: object, kinds: tuple[str, ...], call: str) -> FaultRule:
    data = json_object(data, "a rule")
    check_names(data, {field.name for field in fields(FaultRule)} | {"left"})
    rule = FaultRule(
        kind=one_of(data, "kind", kinds) or "",
        probability=probability(data, "probability", 1.0),
        count=whole_number(data, "count", None),
        to=text(data, "to"),
        call=one_of(data, "call", CALL_KINDS, call) or call,
        retry_after=non_negative(data, "retry_after", 0) or None,
        seconds=non_negative(data, "seconds", 30.0),
        code=whole_number(data, "code", None),
        reply=text(data, "reply"),
        max_emails=whole_number(data, "max_emails", 1) or 1,
    )
    if rule.kind.startswith("reply_") and not _SMTP_REPLY.match(rule.reply or ""):
        raise FaultError(f"A rule of kind {rule.kind} needs a reply, such as 550 5.1.1 No such user.")
    if rule.kind == "reject" and rule.code is None:
        raise FaultError("A rule of kind reject needs a code, such as 21614 or 30007.")
    return rule


def _extensions(data: Fields, initial: tuple[str, ...]) -> tuple[str, ...]:
    if data.get("smtp_extensions") is None:
        return initial
    names = [str(name).upper() for name in json_list(data, "smtp_extensions")]
    if not set(names) <= set(SMTP_EXTENSIONS):
        raise FaultError(f"smtp_extensions may contain only {', '.join(SMTP_EXTENSIONS)}.")
    return tuple(name for name in SMTP_EXTENSIONS if name in names)


def _receipts(data: Fields) -> ReceiptFaults:
    check_names(data, {field.name for field in fields(ReceiptFaults)})
    return ReceiptFaults(
        delay_ms=milliseconds(data, "delay_ms", ReceiptFaults.delay_ms),
        drop=probability(data, "drop", 0.0),
        duplicate=whole_number(data, "duplicate", 0) or 0,
        reorder=bool(data.get("reorder", False)),
        final=one_of(data, "final", FINAL_OUTCOMES, ""),
        error_code=whole_number(data, "error_code", None),
        probability=probability(data, "probability", 1.0),
    )


def _account(data: Fields) -> AccountFaults:
    """A null number type, campaign or verification means that there is none. Any other null means the default."""
    check_names(data, {field.name for field in fields(AccountFaults)})
    non_null = {name: value for name, value in data.items() if value is not None}
    return AccountFaults(
        status=one_of(non_null, "status", ACCOUNT_STATUSES, AccountFaults.status) or "",
        type=one_of(non_null, "type", ACCOUNT_TYPES, AccountFaults.type) or "",
        sms=bool(non_null.get("sms", AccountFaults.sms)),
        number_type=one_of_or_null(data, "number_type", NUMBER_TYPES, AccountFaults.number_type),
        campaign=one_of_or_null(data, "campaign", CAMPAIGN_STATUSES, AccountFaults.campaign),
        toll_free=one_of_or_null(data, "toll_free", VERIFICATION_STATUSES, AccountFaults.toll_free),
    )
