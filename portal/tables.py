# ruff: noqa: F401
"""Importing this module registers every table with SQLAlchemy."""

from portal.accounts.tables import (
    accounts,
    attributes,
    failed_sign_ins,
    known_addresses,
    phone_numbers,
    throttle_counters,
)
from portal.authentication.tables import (
    external_identities,
    passkeys,
    recovery_codes,
    sign_in_sessions,
    spent_challenges,
    totp_credentials,
    trusted_devices,
)
from portal.carriers.tables import deactivation_days
from portal.consent.tables import consent_reports, import_tasks, inbound_messages, ledger, reply_notes
from portal.content.tables import content_versions, saved_drafts, templates, topics
from portal.core import audit_log, coordination, organisation
from portal.core.log_integrity import log_macs
from portal.delivery.tables import mail_server
from portal.messages.tables import communications, delivery_totals, lane_state
from portal.monitoring.tables import alerts, check_verdicts, statistic_cache
from portal.operations.tables import log_verifications, policy_violation_counts, rejected_webhooks
from portal.records.tables import communication_exports, expired_records, proofs, saved_searches, search_index
from portal.schedules.tables import runs, schedules
from portal.sends.tables import recipient_files, resends, saved_audiences, schedule_recipients, sends
from portal.settings.tables import sending_numbers, setting_values, signing_keys
from portal.setup.tables import setup_state
