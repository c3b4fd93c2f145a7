"""Serialize the current faults as JSON that `parse_faults` accepts."""

from dataclasses import asdict
from typing import Any

from simulator.faults.model import FaultRule, Faults, Range


def faults_json(faults: Faults) -> dict[str, Any]:
    data = asdict(faults)
    return data | {
        "latency_ms": _range_json(faults.latency_ms),
        "rules": [_rule_json(rule) for rule in faults.rules],
        "receipts": data["receipts"] | {"delay_ms": _range_json(faults.receipts.delay_ms)},
        "smtp": [_rule_json(rule) for rule in faults.smtp],
        "smtp_extensions": list(faults.smtp_extensions),
    }


def _rule_json(rule: FaultRule) -> dict[str, Any]:
    return asdict(rule) | {"left": rule.left}


def _range_json(bounds: Range) -> float | list[float]:
    return bounds[0] if bounds[0] == bounds[1] else list(bounds)
