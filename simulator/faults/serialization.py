"""Serialize the current faults as JSON that `parse_faults` accepts."""

from dataclasses import asdict, fields
from typing import Any

from simulator.faults.model import FaultRule, Faults, Range, ReceiptFaults


def faults_json(faults: Faults) -> dict[str, Any]:
    receipts = {field.name: getattr(faults.receipts, field.name) for field in fields(ReceiptFaults)}
    return {
        "seed": faults.seed,
        "latency_ms": _range_json(faults.latency_ms),
        "rate": faults.rate,
        "queue_limit": faults.queue_limit,
        "concurrency": faults.concurrency,
        "list_stale_ms": faults.list_stale_ms,
        "clock_skew_seconds": faults.clock_skew_seconds,
        "account": asdict(faults.account),
        "rules": [_rule_json(rule) for rule in faults.rules],
        "receipts": {**receipts, "delay_ms": _range_json(faults.receipts.delay_ms)},
        "smtp": [_rule_json(rule) for rule in faults.smtp],
        "smtp_extensions": list(faults.smtp_extensions),
    }


def _rule_json(rule: FaultRule) -> dict[str, Any]:
    return {field.name: getattr(rule, field.name) for field in fields(FaultRule)} | {"left": rule.left}


def _range_json(bounds: Range) -> float | list[float]:
    return bounds[0] if bounds[0] == bounds[1] else list(bounds)
