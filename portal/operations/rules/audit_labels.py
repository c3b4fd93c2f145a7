"""The words of the audit log: labels of actions, sentences about entries, and their details."""

from collections.abc import Mapping
from typing import Any

from portal.content.rules.content_block_checks import BLOCKS
from portal.core.translation import N_, format_number
from portal.core.translation import gettext as _
from portal.messages.rules.lane_labels import LANE_LABELS_BY_KEY
from portal.messages.rules.report_conflicts import ReportConflict

_ACTIONS: dict[str, tuple[str, str]] = {
    "send_created": (N_("Sends created"), N_("Created send %(subject)s")),
    "send_paused": (N_("Sends paused"), N_("Paused send %(subject)s")),
    "send_paused_after_restore": (
        N_("Sends paused after a restore"),
        N_("Paused send %(subject)s after the database was restored"),
    ),
    "send_resumed": (N_("Sends resumed"), N_("Resumed send %(subject)s")),
    "send_canceled": (N_("Sends canceled"), N_("Canceled send %(subject)s")),
    "send_undone": (N_("Sends undone"), N_("Undid send %(subject)s before it began")),
    "send_approved": (N_("Sends approved"), N_("Approved send %(subject)s")),
    "send_declined": (N_("Sends declined"), N_("Declined send %(subject)s")),
    "send_superseded": (
        N_("Sends superseded"),
        N_("Withdrew send %(subject)s, because a later run of its schedule took its place"),
    ),
    "send_withdrawn": (N_("Sends withdrawn"), N_("Withdrew send %(subject)s")),
    "send_archived": (N_("Sends archived"), N_("Archived send %(subject)s")),
    "send_unarchived": (N_("Sends restored from the archive"), N_("Restored send %(subject)s from the archive")),
    "unreached_exported": (
        N_("Lists for letters exported"),
        N_("Exported whom send %(subject)s did not reach"),
    ),
    "audience_created": (N_("Audiences created"), N_("Created audience %(subject)s")),
    "audience_changed": (N_("Audiences changed"), N_("Changed audience %(subject)s")),
    "audience_archived": (N_("Audiences archived"), N_("Archived audience %(subject)s")),
    "schedule_created": (N_("Schedules created"), N_("Created schedule %(subject)s")),
    "schedule_changed": (N_("Schedules changed"), N_("Changed schedule %(subject)s")),
    "schedule_paused": (N_("Schedules paused"), N_("Paused schedule %(subject)s")),
    "schedule_resumed": (N_("Schedules resumed"), N_("Resumed schedule %(subject)s")),
    "schedule_ended": (N_("Schedules ended"), N_("Ended schedule %(subject)s")),
    "schedule_completed": (N_("Schedules completed"), N_("Schedule %(subject)s had its last run")),
    "schedule_run_early": (N_("Schedule runs sent early"), N_("Sent a run of schedule %(subject)s before its time")),
    "schedule_run_skipped": (N_("Schedule runs skipped"), N_("Skipped a run of schedule %(subject)s")),
    "schedule_run_missed": (N_("Schedule runs missed"), N_("Schedule %(subject)s missed a run")),
    "schedule_run_empty": (N_("Schedule runs for nobody"), N_("A run of schedule %(subject)s had no recipients")),
    "schedule_run_failed": (N_("Schedule runs failed"), N_("A run of schedule %(subject)s could not be sent")),
    "first_sysadmin_created": (
        N_("First system administrators created"),
        N_("Created %(subject)s, the first system administrator, by the link of the start"),
    ),
    "webhooks_set": (N_("Addresses set at Twilio"), N_("Set the addresses that Twilio calls")),
    "alert_tested": (N_("Test alerts"), N_("Sent a test alert")),
    "consent_reports_retried": (
        N_("Consent reports tried again"),
        N_("Had Twilio told again what it had refused"),
    ),
    "job_retried": (N_("Jobs started again"), N_("Started job %(subject)s again")),
    "lane_paused": (N_("Lanes paused"), N_("Paused the lane of %(subject)s")),
    "lane_resumed": (N_("Lanes resumed"), N_("Resumed the lane of %(subject)s")),
    "sender_resumed": (N_("Sending numbers resumed"), N_("Resumed the sending number")),
    "text_marked_sent": (N_("Texts marked as sent"), N_("Marked text %(subject)s as sent, without evidence")),
    "text_marked_unsent": (N_("Texts marked as not sent"), N_("Marked text %(subject)s as not sent, without evidence")),
    "text_resent": (N_("Texts sent again by hand"), N_("Sent text %(subject)s again, without evidence")),
    ReportConflict.LISTED_TWICE: (
        N_("Texts listed twice"),
        N_("Twilio lists text %(subject)s more than once: it may have arrived twice"),
    ),
    ReportConflict.ACCEPTED_TWICE: (
        N_("Texts accepted twice"),
        N_("Twilio accepted text %(subject)s twice: it may have arrived twice"),
    ),
    ReportConflict.CONFLICTING_OUTCOMES: (
        N_("Texts reported as delivered and not delivered"),
        N_("Twilio reported text %(subject)s as delivered and as not delivered"),
    ),
    ReportConflict.SENT_AND_NOT_SENT: (
        N_("Texts reported as sent and not sent"),
        N_("Twilio reported text %(subject)s as sent and as not sent"),
    ),
    "reply_answered": (N_("Replies answered"), N_("Answered reply %(subject)s")),
    "reply_assigned": (N_("Replies assigned"), N_("Assigned reply %(subject)s")),
    "reply_stop": (N_("Replies counted as opt-outs"), N_("Opted out the number of reply %(subject)s")),
    "reply_moved": (
        N_("Replies that moved texts"),
        N_("Gave the texts of the number of reply %(subject)s to an account"),
    ),
    "reply_nothing": (
        N_("Replies closed without action"),
        N_("Closed reply %(subject)s without action"),
    ),
    "opted_out": (N_("Numbers opted out by hand"), N_("Opted out %(subject)s")),
    "texts_moved": (N_("Texts moved to an account"), N_("Moved the texts of %(subject)s to another account")),
    "texts_requested": (
        N_("Texts requested"),
        N_("Requested texts for a number of account %(subject)s"),
    ),
    "number_added": (N_("Phone numbers added"), N_("Added a phone number to account %(subject)s")),
    "number_removed": (
        N_("Phone numbers removed"),
        N_("Removed a phone number from account %(subject)s"),
    ),
    "number_relabeled": (
        N_("Phone numbers labeled"),
        N_("Changed the label of a phone number of account %(subject)s"),
    ),
    "number_confirmed": (
        N_("Phone numbers confirmed"),
        N_("Confirmed a phone number of account %(subject)s"),
    ),
    "account_created": (N_("Accounts created"), N_("Created account %(subject)s")),
    "account_changed": (N_("Accounts changed"), N_("Changed account %(subject)s")),
    "account_deactivated": (N_("Accounts deactivated"), N_("Deactivated account %(subject)s")),
    "account_reactivated": (N_("Accounts reactivated"), N_("Reactivated account %(subject)s")),
    "account_merged": (N_("Accounts merged"), N_("Merged account %(subject)s into another one")),
    "password_invited": (
        N_("Invitations to set a password"),
        N_("Emailed account %(subject)s a link to set a password"),
    ),
    "accounts_imported": (N_("Accounts imported"), N_("Imported accounts from a file")),
    "opt_outs_imported": (N_("Opt-outs imported"), N_("Imported opt-outs from a file")),
    "opt_ins_imported": (N_("Opt-ins imported"), N_("Imported opt-ins from a file")),
    "recipient_file_uploaded": (N_("Recipient files uploaded"), N_("Uploaded recipient file %(subject)s")),
    "communications_exported": (N_("Communications exported"), N_("Asked for export %(subject)s of communications")),
    "export_downloaded": (N_("Exports downloaded"), N_("Downloaded export %(subject)s of communications")),
    "export_removed": (N_("Exports deleted"), N_("Deleted export %(subject)s of communications")),
    "communications_sent_again": (N_("Communications sent again"), N_("Sent communications again")),
    "proof_requested": (N_("Proofs of notice requested"), N_("Asked for a proof of notice for send %(subject)s")),
    "proof_downloaded": (N_("Proofs of notice downloaded"), N_("Downloaded the proof of notice of send %(subject)s")),
    "communication_proof_downloaded": (
        N_("Proofs of single notices downloaded"),
        N_("Downloaded the proof of notice of communication %(subject)s"),
    ),
    "consent_exported": (N_("Consent exported"), N_("Exported evidence from the consent ledger")),
    "template_created": (N_("Templates created"), N_("Created template %(subject)s")),
    "template_saved": (N_("Templates saved"), N_("Saved a new version of template %(subject)s")),
    "template_restored": (N_("Templates restored"), N_("Restored an earlier version of template %(subject)s")),
    "template_draft_saved": (N_("Drafts of templates saved"), N_("Saved a draft of template %(subject)s")),
    "template_draft_discarded": (
        N_("Drafts of templates discarded"),
        N_("Discarded the draft of template %(subject)s"),
    ),
    "template_draft_sent": (
        N_("Drafts of templates sent to their authors"),
        N_("Sent the draft of template %(subject)s to themselves"),
    ),
    "topic_added": (N_("Topics added"), N_("Added topic %(subject)s")),
    "topic_changed": (N_("Topics changed"), N_("Changed topic %(subject)s")),
    "topics_chosen": (N_("Texts by topic chosen"), N_("Chose the topics that account %(subject)s is texted about")),
    "template_archived": (N_("Templates archived"), N_("Archived template %(subject)s")),
    "template_unarchived": (N_("Templates unarchived"), N_("Unarchived template %(subject)s")),
    "content_block_saved": (N_("Content blocks saved"), N_("Saved a new version of the content block %(subject)s")),
    "content_block_restored": (
        N_("Content blocks restored"),
        N_("Restored an earlier version of the content block %(subject)s"),
    ),
    "signing_key_renewed": (N_("Signing keys renewed"), N_("Made a new signing key")),
    "secrets_reencrypted": (N_("Secrets re-encrypted"), N_("Encrypted the stored secrets with the newest key")),
    "signed_in": (N_("Sign-ins"), N_("Signed in as account %(subject)s")),
    "signed_out": (N_("Sign-outs"), N_("Signed out of account %(subject)s")),
    "sign_in_failed": (N_("Failed sign-ins"), N_("Somebody could not sign in as account %(subject)s")),
    "unknown_sign_in_failed": (
        N_("Failed sign-ins with unknown names"),
        N_("Somebody tried to sign in with names that no account has"),
    ),
    "audit_log_exported": (N_("Audit log exported"), N_("Exported entries of the audit log")),
    "log_key_renewed": (N_("Keys of the logs renewed"), N_("Renewed the key that protects the logs")),
    "setting_changed": (N_("Settings changed"), N_("Changed %(subject)s")),
    "timezone_changed": (N_("Time zones changed"), N_("Changed the time zone of account %(subject)s")),
    "attribute_added": (N_("Attributes added"), N_("Added attribute %(subject)s")),
    "attribute_changed": (N_("Attributes changed"), N_("Changed attribute %(subject)s")),
    "attribute_removed": (N_("Attributes removed"), N_("Removed attribute %(subject)s")),
    "attributes_imported": (N_("Attributes imported"), N_("Imported attributes of accounts from a file")),
    "attribute_set": (N_("Attributes of accounts changed"), N_("Changed an attribute of account %(subject)s")),
    "password_link_sent": (
        N_("Password links emailed"),
        N_("Emailed account %(subject)s a link to choose a new password"),
    ),
    "personal_data_downloaded": (
        N_("Personal data downloaded"),
        N_("Downloaded the personal data of account %(subject)s"),
    ),
    "account_erased": (N_("Accounts erased"), N_("Erased the personal data of account %(subject)s")),
    "passkey_added": (N_("Passkeys added"), N_("Added a passkey to account %(subject)s")),
    "passkey_removed": (N_("Passkeys removed"), N_("Removed a passkey from account %(subject)s")),
    "passkey_used": (N_("Passkeys used"), N_("Used a passkey of account %(subject)s")),
    "identity_connected": (
        N_("Identities connected"),
        N_("Connected account %(subject)s with its identity at the single sign-on"),
    ),
    "identity_disconnected": (
        N_("Identities disconnected"),
        N_("Disconnected account %(subject)s from the single sign-on"),
    ),
    "password_changed": (N_("Passwords changed"), N_("Changed the password of account %(subject)s")),
    "sessions_revoked": (N_("Sessions ended"), N_("Signed out account %(subject)s on other devices")),
    "totp_enrolled": (N_("Authenticator apps set up"), N_("Set up an authenticator app for account %(subject)s")),
    "second_factor_removed": (N_("Second factors removed"), N_("Removed the second factor of account %(subject)s")),
    "recovery_codes_renewed": (
        N_("Recovery codes renewed"),
        N_("Made new recovery codes for account %(subject)s"),
    ),
    "recovery_code_used": (N_("Recovery codes used"), N_("Used a recovery code of account %(subject)s")),
    "device_trust_ended": (
        N_("Trust in devices ended"),
        N_("Ended the trust in the devices of account %(subject)s"),
    ),
    "access_denied": (N_("Requests denied"), N_("Was denied access to %(subject)s")),
    "database_restored": (
        N_("Databases restored"),
        N_("Held back waiting messages, because the database was restored from a backup"),
    ),
    "texts_reconciled": (N_("Days reconciled"), N_("Compared the texts of %(subject)s with Twilio’s list")),
}
"""By action: the label of the filter, and a sentence about one entry."""
ACTION_LABELS = {action: label for action, (label, _sentence) in _ACTIONS.items()}
ACTION_TEMPLATES = {action: template for action, (_label, template) in _ACTIONS.items()}
SUBJECT_KINDS = (
    "communication",
    "send",
    "schedule",
    "text",
    "reply",
    "job",
    "account",
    "template",
    "file",
    "attribute",
    "audience",
    "export",
    "topic",
)
"""What the subjects of entries begin with; the sentences say it themselves."""
_DETAILS = {
    "template": N_("template %(value)s"),
    "old_name": N_("called %(value)s before"),
    "templates": N_("templates %(value)s"),
    "off": N_("off: %(value)s"),
    "on": N_("on: %(value)s"),
    "version": N_("version %(value)s"),
    "from_version": N_("from version %(value)s"),
    "occasion": N_("of %(value)s"),
    "reason": N_("reason: %(value)s"),
    "account": N_("account %(value)s"),
    "attribute": N_("attribute %(value)s"),
    "field": N_("field %(value)s"),
    "changes": N_("changed: %(value)s"),
    "kind": N_("kind %(value)s"),
    "number": N_("number %(value)s"),
    "to_account": N_("to account %(value)s"),
    "to_account_type": N_("to account type %(value)s"),
    "file": N_("file %(value)s"),
    "to_file": N_("to the people in %(value)s"),
    "to_chosen_accounts": N_("to chosen accounts: %(value)s"),
    "to_conditions": N_("to accounts where %(value)s"),
    "to_unreached_of": N_("to whom send %(value)s did not reach"),
    "again_of": N_("to people of send %(value)s, once more"),
    "sends": N_("sends %(value)s"),
    "communications": N_("communications: %(value)s"),
    "to_unopened_of": N_("to who has not opened send %(value)s"),
    "from": N_("from %(value)s"),
    "to": N_("to %(value)s"),
    "administrators": N_("administrators %(value)s"),
    "ledger_event": N_("event %(value)s of the ledger"),
    "format": N_("format %(value)s"),
    "rows": N_("rows: %(value)s"),
    "search": N_("search %(value)s"),
    "send": N_("send %(value)s"),
    "events": N_("events: %(value)s"),
    "accounts": N_("accounts: %(value)s"),
    "kept_events": N_("events of the ledger kept: %(value)s"),
    "values": N_("values: %(value)s"),
    "opt_ins": N_("opt-ins: %(value)s"),
    "opted_out": N_("opted out: %(value)s"),
    "already_opted_out": N_("already opted out: %(value)s"),
    "in_force": N_("in force: %(value)s"),
    "evidence_only": N_("kept as evidence only: %(value)s"),
    "listed": N_("listed: %(value)s"),
    "not_ours": N_("not ours: %(value)s"),
    "not_listed": N_("not listed: %(value)s"),
    "not_ours_ids": N_("IDs not ours: %(value)s"),
    "not_listed_ids": N_("IDs not listed: %(value)s"),
    "mails": N_("emails: %(value)s"),
    "texts": N_("texts: %(value)s"),
    "error_code": N_("error code %(value)s"),
    "ids": N_("IDs %(value)s"),
    "recorded": N_("recorded %(value)s"),
    "reported": N_("reported %(value)s"),
    "by": N_("by %(value)s"),
    "issuer": N_("issuer %(value)s"),
    "passkey": N_("passkey %(value)s"),
    "address": N_("from the address %(value)s"),
    "methods": N_("with: %(value)s"),
    "tries": N_("tries: %(value)s"),
    "ended_messages": N_("messages ended: %(value)s"),
    "numbers": N_("phone numbers: %(value)s"),
    "created": N_("created: %(value)s"),
    "changed_accounts": N_("changed: %(value)s"),
    "unchanged": N_("unchanged: %(value)s"),
}
"""In the order in which they are read."""
_STATES = ("recorded", "reported", "reason")
_WORDS = (
    N_("name"),
    N_("account type"),
    N_("role"),
    N_("time zone"),
    N_("language"),
    N_("email"),
    N_("text"),
    N_("email and text"),
    N_("text and email"),
    N_("nobody"),
    N_("everyone"),
    N_("left out"),
    N_("the default"),
    N_("print"),
    N_("single sign-on"),
)
"""What details say in English, besides the labels of states."""
LINK_KEYS = ("communication", "attempt", "account_id", "template_id", "task_id", "audience_id", "schedule_id")


def describe_action(action: str, subject: str) -> str:
    """A sentence about an entry. An action without one is shown by its name."""
    if (template := ACTION_TEMPLATES.get(action)) is None:
        return f"{action.replace('_', ' ').capitalize()}: {subject}"
    kind, _space, rest = subject.partition(" ")
    return _(template, subject=rest if kind in SUBJECT_KINDS else _subject_name(subject))


def _subject_name(subject: str) -> str:
    if subject in BLOCKS:
        return BLOCKS[subject].localized_name
    return _(LANE_LABELS_BY_KEY.get(subject, "")) or subject


def describe_detail(detail: Mapping[str, Any]) -> str:
    """Leaves out times in milliseconds, ids for links, and empty lists."""
    return ", ".join(
        _(_DETAILS[key], value=_format_value(key, value)) if key in _DETAILS else f"{key}: {value}"
        for key, value in {**dict.fromkeys(_DETAILS), **detail}.items()
        if key not in LINK_KEYS and not key.endswith("_ms") and value not in (None, [])
    )


def _format_value(key: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, int):
        return format_number(value)
    return _(value) if key in _STATES or value in _WORDS else str(value)
