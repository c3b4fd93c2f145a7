"""Which part of the guides helps with which page."""

from typing import Any

from flask import Flask, request

from portal.web.help.guides import find_guide
from portal.web.help.help_pages import is_readable

HELP_PARTS = {
    "account_editing": "accounts#add-an-account",
    "account_editing.edit": "accounts#find-and-change-an-account",
    "account_merging": "accounts#merge-two-accounts",
    "account_sessions": "accounts#see-where-somebody-is-signed-in",
    "account_states": "accounts#deactivate-or-reactivate-an-account",
    "admin_account_import": "accounts#import-accounts-from-a-file",
    "admin_accounts": "accounts#find-and-change-an-account",
    "admin_accounts.enable_texts": "replies#invite-somebody-to-get-texts",
    "admin_attribute_import": "accounts#keep-more-about-people",
    "admin_attributes": "accounts#keep-more-about-people",
    "admin_audiences": "schedules#save-an-audience",
    "admin_communications": "results#understand-the-status-of-a-message",
    "admin_communications.listing": "results#find-a-message",
    "admin_consent": "replies#show-what-a-person-agreed-to",
    "admin_content": "templates#change-the-portals-own-wording",
    "admin_dashboard": "results#read-the-dashboard",
    "admin_exports": "results#export-communications",
    "admin_imports": "replies#import-opt-ins-and-opt-outs",
    "admin_numbers": "replies#show-what-a-person-agreed-to",
    "admin_numbers.confirm_move": "replies#move-texts-to-another-account",
    "admin_numbers.opt_out": "replies#opt-a-number-out",
    "admin_numbers.opt_out_form": "replies#opt-a-number-out",
    "admin_proofs": "results#prove-that-somebody-was-told",
    "admin_recipient_files": "sending#give-each-person-values-from-a-file",
    "admin_replies": "replies#answer-a-reply",
    "admin_resends": "results#send-a-message-again",
    "admin_schedule_control": "schedules#see-and-change-what-comes-next",
    "admin_schedules": "schedules#send-later-or-regularly",
    "admin_schedules.show": "schedules#see-and-change-what-comes-next",
    "admin_searches": "results#find-a-message",
    "admin_send_approval": "sending#approve-the-send-of-a-colleague",
    "admin_send_people": "sending#check-before-you-send",
    "admin_send_rounds": "results#write-to-people-whom-nobody-reached",
    "admin_sends": "sending#send-a-notification",
    "admin_sends.confirm": "sending#check-before-you-send",
    "admin_sends.confirm_cancel": "sending#undo-pause-or-cancel-a-send",
    "admin_sends.show": "sending#watch-a-send",
    "admin_templates": "templates#write-a-template",
    "admin_templates.compare": "templates#compare-and-restore-versions",
    "admin_templates.version": "templates#compare-and-restore-versions",
    "admin_topics": "templates#let-people-choose-topics",
    "admin_unresolved": "results#decide-about-a-text-whose-outcome-is-unknown",
    "my_data": "recipient#print-or-keep-what-you-received",
    "my_history": "recipient#find-and-read-a-notification",
    "my_numbers": "texts#get-text-messages",
    "my_numbers.confirm_removal": "texts#change-or-remove-a-phone-number",
    "my_numbers.confirm_stop": "texts#stop-text-messages",
    "my_profile": "recipient#change-your-profile",
    "my_security": "recipient#protect-your-account-with-a-second-factor",
    "my_sessions": "recipient#see-where-you-are-signed-in",
    "password_invitation": "recipient#sign-in",
    "public_pages": "texts#get-text-messages",
    "second_factor_reset": "accounts#remove-a-second-factor",
    "second_step": "recipient#protect-your-account-with-a-second-factor",
    "security": "recipient#sign-in",
    "my_passkeys": "recipient#sign-in-with-a-passkey",
    "passkey_sign_in": "recipient#sign-in-with-a-passkey",
    "setup_checklist": "setup#follow-the-checklist",
    "setup_email": "setup#set-up-the-mail-server",
    "setup_organisation": "setup#set-up-the-organization",
    "setup_twilio": "setup#connect-twilio",
    "sign_in_choice": "recipient#sign-in",
    "single_sign_on": "recipient#sign-in",
    "sysadmin_alerts": "troubleshooting#get-alerts",
    "sysadmin_audit": "settings#see-who-did-what",
    "sysadmin_config": "settings#change-a-setting",
    "sysadmin_erasure": "settings#erase-a-person",
    "sysadmin_harness": "troubleshooting#run-the-diagnostics",
    "sysadmin_organisation": "settings#show-your-name-logo-and-color",
    "sysadmin_queues": "troubleshooting#nothing-is-being-sent",
    "sysadmin_registration": "setup#register-with-carriers",
    "sysadmin_retention": "settings#decide-how-long-records-are-kept",
    "sysadmin_signing_key": "settings#publish-the-signing-key",
    "sysadmin_texts": "setup#send-a-test-text",
    "time_zones": "recipient#change-your-profile",
    "time_zones.for_account": "accounts#find-and-change-an-account",
}
"""The guide and its section, by the endpoint of a page, or for all other pages of a blueprint."""


def init_app(app: Flask) -> None:
    app.context_processor(_help_context)


def help_part(endpoint: str) -> str:
    return HELP_PARTS.get(endpoint) or HELP_PARTS.get(endpoint.partition(".")[0], "")


def _help_context() -> dict[str, Any]:
    return {"help_url": _help_url}


def _help_url() -> str:
    """Where the page of this request is explained to this person; "" if nowhere."""
    part = help_part(request.endpoint or "")
    guide = find_guide(part.partition("#")[0])
    return f"/Help/{part}" if guide and is_readable(guide) else ""
