"""Parse and validate fault settings from JSON."""

import re

from simulator.faults import fields, kinds
from simulator.faults.fields import FaultError, Fields, check_names, json_list, json_object
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
        latency_ms=fields.milliseconds(data, "latency_ms", initial.latency_ms),
        rate=fields.non_negative(data, "rate", initial.rate),
        seed=fields.whole_number(data, "seed", initial.seed) or 0,
        queue_limit=fields.whole_number(data, "queue_limit", None),
        concurrency=fields.whole_number(data, "concurrency", None),
        list_stale_ms=fields.non_negative(data, "list_stale_ms", 0),
        clock_skew_seconds=fields.number(data, "clock_skew_seconds"),
        account=_account(json_object(data.get("account") or {}, "account")),
        rules=[_rule(rule, kinds.API_RULE_KINDS, "create") for rule in json_list(data, "rules")],
        receipts=_receipts(json_object(data.get("receipts") or {}, "receipts")),
        smtp=[_rule(rule, kinds.SMTP_RULE_KINDS, "any") for rule in json_list(data, "smtp")],
        smtp_extensions=_extensions(data, initial.smtp_extensions),
    )
    check_names(data, Faults)
    return faults


def _rule(data: object, rule_kinds: tuple[str, ...], call: str) -> FaultRule:
    data = json_object(data, "a rule")
    check_names(data, FaultRule, "left")
    rule = FaultRule(
        kind=fields.one_of(data, "kind", rule_kinds) or "",
        probability=fields.probability(data, "probability", 1.0),
        count=fields.whole_number(data, "count", None),
        to=fields.text(data, "to"),
        call=fields.one_of(data, "call", kinds.CALL_KINDS, call) or call,
        retry_after=fields.non_negative(data, "retry_after", 0) or None,
        seconds=fields.non_negative(data, "seconds", 30.0),
        code=fields.whole_number(data, "code", None),
        reply=fields.text(data, "reply"),
        max_emails=fields.whole_number(data, "max_emails", 1) or 1,
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
    if not set(names) <= set(kinds.SMTP_EXTENSIONS):
        raise FaultError(f"smtp_extensions may contain only {', '.join(kinds.SMTP_EXTENSIONS)}.")
    return tuple(name for name in kinds.SMTP_EXTENSIONS if name in names)


def _receipts(data: Fields) -> ReceiptFaults:
    check_names(data, ReceiptFaults)
    return ReceiptFaults(
        delay_ms=fields.milliseconds(data, "delay_ms", ReceiptFaults.delay_ms),
        drop=fields.probability(data, "drop", 0.0),
        duplicate=fields.whole_number(data, "duplicate", 0) or 0,
        reorder=bool(data.get("reorder", False)),
        final=fields.one_of(data, "final", kinds.FINAL_OUTCOMES, ""),
        error_code=fields.whole_number(data, "error_code", None),
        probability=fields.probability(data, "probability", 1.0),
    )


def _account(data: Fields) -> AccountFaults:
    """A null number type, campaign or verification means that there is none. Any other null means the default."""
    check_names(data, AccountFaults)
    non_null = {name: value for name, value in data.items() if value is not None}
    return AccountFaults(
        status=fields.one_of(non_null, "status", kinds.ACCOUNT_STATUSES, AccountFaults.status) or "",
        type=fields.one_of(non_null, "type", kinds.ACCOUNT_TYPES, AccountFaults.type) or "",
        sms=bool(non_null.get("sms", AccountFaults.sms)),
        number_type=fields.one_of_or_null(data, "number_type", kinds.NUMBER_TYPES, AccountFaults.number_type),
        campaign=fields.one_of_or_null(data, "campaign", kinds.CAMPAIGN_STATUSES, AccountFaults.campaign),
        toll_free=fields.one_of_or_null(data, "toll_free", kinds.VERIFICATION_STATUSES, AccountFaults.toll_free),
        rejection_code=fields.whole_number(data, "rejection_code", None),
    )
