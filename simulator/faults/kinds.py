"""The values that fault settings accept."""

API_RULE_KINDS = (
    "429", "500_before", "500_after", "timeout_before", "timeout_after", "reset_before", "reset_after", "html_200",
    "half_json", "401", "reject", "expired_link", "half_file",
)  # fmt: skip
SMTP_RULE_KINDS = (
    "refuse_connect", "421", "451_rcpt", "550_rcpt", "550_relay", "slow", "hang_after_data", "drop_after_data",
    "reply_rcpt", "reply_data", "421_after", "close_after",
)  # fmt: skip
SMTP_STAGES = {
    "connect": ("refuse_connect", "421"),
    "mail_from": ("421_after",),
    "rcpt_to": ("421", "451_rcpt", "550_rcpt", "550_relay", "reply_rcpt"),
    "data": ("reply_data",),
    "stored": ("slow", "hang_after_data", "drop_after_data"),
    "accepted": ("close_after",),
}
"""The kinds of SMTP rules that can apply at each stage of a connection."""
SMTP_EXTENSIONS = ("SIZE", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES", "STARTTLS", "AUTH")
CALL_KINDS = (
    "create", "fetch", "list", "update", "delete", "account", "numbers", "number", "service", "registration",
    "consents", "consent", "deactivations", "file", "any",
)  # fmt: skip
FINAL_OUTCOMES = ("delivered", "undelivered", "failed", "none")
ACCOUNT_STATUSES = ("active", "suspended", "closed")
ACCOUNT_TYPES = ("Full", "Trial")
NUMBER_TYPES = ("local", "mobile", "toll_free")
CAMPAIGN_STATUSES = ("IN_PROGRESS", "VERIFIED", "FAILED")
VERIFICATION_STATUSES = ("PENDING_REVIEW", "IN_REVIEW", "TWILIO_APPROVED", "TWILIO_REJECTED")
