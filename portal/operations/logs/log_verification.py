"""Verify the audit log and the consent ledger, and remember what was found (ADR 63)."""

from collections.abc import Mapping
from dataclasses import replace

import structlog

from portal.consent.ledger_verification import verify_chain
from portal.consent.tables.ledger import CONSENT_LEDGER
from portal.core.audit_log import AUDIT_LOG
from portal.core.log_integrity.verification import LogFault, LogVerdict, verify_log
from portal.core.statements import upsert_many
from portal.core.transaction import transaction
from portal.core.translation import ENGLISH, N_, use_language
from portal.operations.tables.log_verifications import LogVerification
from portal.settings.tables.setting_values import SETTING_HISTORY

LOG_LABELS = {
    AUDIT_LOG: N_("audit log"),
    SETTING_HISTORY: N_("history of settings"),
    CONSENT_LEDGER: N_("consent ledger"),
}
_log = structlog.get_logger(__name__)


def verify_logs(now_ms: int, known: Mapping[str, tuple[int, str]] | None = None) -> list[LogVerdict]:
    """`known` are ends of the logs that were noted elsewhere (`read_heads`)."""
    *others, consent = (verify_log(log, now_ms, (known or {}).get(log)) for log in LOG_LABELS)
    return [*others, consent if consent.fault else _with_public_chain(consent)]


def verify_and_store(now_ms: int, known: Mapping[str, tuple[int, str]] | None = None) -> list[LogVerdict]:
    """The reasons are stored in English, and shown in the reader's language."""
    with use_language(ENGLISH):
        verdicts = verify_logs(now_ms, known)
    with transaction():
        upsert_many(LogVerification, [_row(verdict, now_ms) for verdict in verdicts], ["log"])
    for verdict in verdicts:
        if verdict.fault:
            _log.error("log does not verify", log=verdict.log, row=verdict.fault.row_id, reason=verdict.fault.reason)
    return verdicts


def _with_public_chain(verdict: LogVerdict) -> LogVerdict:
    """The chain without a key, which proofs of notice cite."""
    found = verify_chain().first_break
    return replace(verdict, fault=LogFault(found.event_id, found.reason)) if found else verdict


def _row(verdict: LogVerdict, now_ms: int) -> dict[str, str | int]:
    row_id, reason = (verdict.fault.row_id, verdict.fault.reason) if verdict.fault else (0, "")
    return {"log": verdict.log, "at_ms": now_ms, "row_count": verdict.position, "row_id": row_id, "reason": reason}
