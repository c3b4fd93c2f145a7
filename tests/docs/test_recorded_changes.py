"""Each function that writes in a transaction leaves an entry, or is listed here with the reason why not."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
Function = tuple[str, str]
_RECORDING = {"record_audit_entry", "record_audit_entries", "SettingChange"}
"""Calls that record: in the audit log, and in the history of settings that it shows. The ledger's `append` does too."""

_NO_DECISION = "the portal's own work on what somebody decided before, whose entry there is"
_QUEUE_STATE = "who runs what, until when: nothing that anybody decides"
_OWN_READING = "what somebody has read or saved for themselves, and sees there"
_ASKED_AGAIN = "asks a server again sooner; changes no record"
_IMPORT_STEP = "a step of an import, whose entry is written with its changes"
_SIGN_IN = "a part of signing in, which has its own entry"
_FILE_EXPIRY = "files expire by a fixed rule, after the entry of who asked for them"
REASONS: dict[str, str] = {
    "accounts/account_management.py: set_missing_passwords": "demo data",
    "accounts/authentication.py: record_sign_in": _SIGN_IN,
    "accounts/passwords.py: rehash_if_outdated": "the same password, hashed with newer parameters",
    "accounts/sign_in_records.py: count_failed_sign_in": "summed for ten minutes, then recorded",
    "authentication/authenticator_app.py: use_totp_code": _SIGN_IN,
    "authentication/device_trust.py: trust_device": "the sign-in has an entry, and the person sees the device",
    "authentication/session_management.py: carry_over_session": "the change that it follows has an entry",
    "authentication/session_management.py: close_session": "the sign-out has an entry",
    "authentication/session_management.py: delete_ended_sessions": "sessions end by fixed limits",
    "authentication/session_management.py: note_activity": _SIGN_IN,
    "authentication/session_management.py: open_session": _SIGN_IN,
    "authentication/session_management.py: renew_session": _SIGN_IN,
    "carriers/consent_reporting.py: _delay": _NO_DECISION,
    "consent/background_imports.py: _add_task": _IMPORT_STEP,
    "consent/background_imports.py: _begin_attempt": _IMPORT_STEP,
    "consent/background_imports.py: confirm_upload": _IMPORT_STEP,
    "consent/background_imports.py: delete_old_uploads": _FILE_EXPIRY,
    "consent/background_imports.py: discard_upload": _IMPORT_STEP,
    "core/log_integrity/earlier_rows.py: _begin": "protects the log itself",
    "core/log_integrity/earlier_rows.py: _protect_batch": "protects the log itself",
    "delivery/daily_reconciliation.py: _record_listed": _NO_DECISION,
    "delivery/email_claim.py: claim_emails": _NO_DECISION,
    "delivery/email_worker.py: record_email_results": _NO_DECISION,
    "delivery/lane_run.py: drain_lane": _NO_DECISION,
    "delivery/mail_server_status.py: retry_mail_server_now": _ASKED_AGAIN,
    "delivery/maintenance.py: acquire_leadership": _QUEUE_STATE,
    "delivery/maintenance.py: expire_stale_leases": _QUEUE_STATE,
    "delivery/maintenance.py: record_heartbeat": _QUEUE_STATE,
    "delivery/maintenance.py: release_leadership": _QUEUE_STATE,
    "delivery/reconciliation.py: _recheck_later": _NO_DECISION,
    "delivery/reconciliation.py: _requeue_or_expire": _NO_DECISION,
    "delivery/reconciliation.py: _retry_fetch_later": _NO_DECISION,
    "delivery/reconciliation.py: requeue_unknown_emails": _NO_DECISION,
    "delivery/restore_guard.py: _repair_clock_skew": _NO_DECISION,
    "delivery/restore_guard.py: mark_restored": "the scheduler records the restore when it holds messages back",
    "delivery/unresolved_deliveries.py: check_now": _ASKED_AGAIN,
    "messages/read_marks.py: mark_read": _OWN_READING,
    "monitoring/hourly_checks.py: check_hourly": "what a check found; alerts tell of it",
    "monitoring/hourly_checks.py: record_checks": "what a check found; alerts tell of it",
    "operations/drills.py: _check_receipt_soon": _ASKED_AGAIN,
    "operations/policy_reports.py: record_violations": "counts of what browsers refused",
    "operations/webhook_rejections.py: _write_counts": "counts of calls that were refused",
    "records/exports.py: _delete_parts": _FILE_EXPIRY,
    "records/exports.py: _update": _NO_DECISION,
    "records/exports.py: delete_old_exports": _FILE_EXPIRY,
    "records/own_history.py: mark_all_read": _OWN_READING,
    "records/proof_of_notice.py: _begin_run": _NO_DECISION,
    "records/proof_of_notice.py: _fail": _NO_DECISION,
    "records/proof_of_notice.py: _store": _NO_DECISION,
    "records/proof_of_notice.py: delete_old_proofs": _FILE_EXPIRY,
    "records/retention.py: _delete_some": "the setting that decides it is in the history, the count on the page",
    "records/search_saving.py: delete_saved_search": _OWN_READING,
    "records/sending_again.py: _choose": _NO_DECISION,
    "sends/deferred_texts.py: _release_batch": _NO_DECISION,
    "sends/recipient_file_check.py: _begin_run": _NO_DECISION,
    "sends/recipient_file_check.py: _fail": _NO_DECISION,
    "sends/recipient_file_check.py: _write_batch": _NO_DECISION,
    "sends/recipient_file_retention.py: _delete_batch": _FILE_EXPIRY,
    "sends/send_control.py: _move_batch": _NO_DECISION,
    "sends/send_control.py: apply_to_deliveries": _NO_DECISION,
    "settings/key_rotation.py: _reencrypt": "recorded once for all batches",
    "settings/signing.py: forget_private_signing_keys": "the entry of the new key says it",
    "setup/checklist.py: close": "a tick on a list",
    "setup/checklist.py: confirm_step": "a tick on a list",
    "setup/email_proof.py: confirm_arrival": "a tick on a list",
    "setup/first_sysadmin.py: issue_link": "the account that the link makes has an entry",
    "setup/organisation_step.py: _set_own_zone": "the setting of the step is in the history",
}


def test_every_verb_that_changes_data_records_it_or_has_a_reason() -> None:
    calls = _calls_by_function()
    writing = {function for function, names in calls.items() if "transaction" in names}
    silent = {": ".join(each) for each in writing if not _records(each, calls, set())}
    assert silent - {"core/transaction.py: transaction"} == set(REASONS)
    assert len(writing) > 100


def _calls_by_function() -> dict[Function, set[str]]:
    calls: dict[Function, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "portal").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                calls[str(path.relative_to(ROOT / "portal")), node.name] |= set(_called(node))
    return calls


def _called(node: ast.AST) -> list[str]:
    functions = [part.func for part in ast.walk(node) if isinstance(part, ast.Call)]
    names = [each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in functions]
    return [name for name in names if name]


def _records(function: Function, calls: dict[Function, set[str]], seen: set[Function]) -> bool:
    """Itself, or through a function that it calls: of its module, or the only one with that name."""
    if function in seen:
        return False
    seen.add(function)
    if calls[function] & _RECORDING or function == ("consent/tables/ledger.py", "append"):
        return True
    return any(_records(each, calls, seen) for name in calls[function] for each in _named(name, function[0], calls))


def _named(name: str, module: str, calls: dict[Function, set[str]]) -> list[Function]:
    if (module, name) in calls:
        return [(module, name)]
    same = [function for function in calls if function[1] == name]
    return same if len(same) == 1 else []
