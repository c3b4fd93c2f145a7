"""What random requests are made of, besides random text and bytes."""

NASTY = (
    *("", " ", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "\u202e", "\ufeff", "²", "٣", "１", "Ⅷ", "ß" * 300),
    *("\r\nX: y",),
    *("0", "-1", "1", "2", "6", "99", "9" * 18, "9" * 40, "1e309", "NaN", "Infinity", "0x10", "1_000", "1.5"),
    *("+1", "true"),
    *("[]", "{}", "null", "[[[[1]]]]", '{"all": true}', '{"conditions": [[]]}', '{"saved_audience": "x"}', '"', "'"),
    *("2027-02-30", "2027-13-01", "9999-12-31", "0001-01-01", "24:61", "09:00", "UTC", "Mars/Crater", "FREQ=SECONDLY"),
    *("+12025550101", "+1", "(202) 555-0142", "someone@example.org", "a@b", "=cmd|' /C calc'!A0"),
    *("../../etc/passwd", "%00"),
    *("{{ name }}", "{{ data.x }}", "{% for x in (1..9) %}", "{{", "<script>alert(1)</script>"),
    *("](javascript:x)", "x" * 9000),
    *("sysadmin", "admin", "notice", "yes", "no", "on", "csv", "es", "xx", "desc", "name", "id", "stop", "moved", "me"),
)
"""Values that programs stumble over, and some that they know."""
QUERY_NAMES = (
    *("q", "sort", "before", "after", "until", "seen", "show", "status", "type", "language", "days", "month", "people"),
    *("audience", "with", "number", "template", "when", "send", "channel", "group", "year", "next", "v"),
    *("action", "actor"),
    *("from", "to", "recipient", "copy", "kind", "account", "code", "version", "filters", "attempt"),
    *("conditions-0-value",),
)
HEADERS: dict[str, tuple[str, ...]] = {
    "HX-Request": ("true", "x"),
    "Host": ("[", "localhost:x", "evil.example", "\xff", "127.0.0.1"),
    "HX-Current-URL": ("https://evil.example/x", "//x", "http://[", "\xff"),
    "Accept-Language": ("es", "xx;q=9", "*", "\xff", "en;q=NaN"),
    "Accept-Encoding": ("gzip", "br;q=0", "\xff"),
    "User-Agent": ("", "\xff\x01", "x" * 5000),
    "Referer": ("http://[", "https://evil.example/", "\xff"),
    "Origin": ("null", "https://evil.example", "http://["),
    "Sec-Fetch-Site": ("cross-site", "same-origin", "?"),
    "Sec-Purpose": ("prefetch",),
    "Range": ("bytes=0-1", "bytes=9-1", "x"),
    "If-None-Match": ('"x"', "*", "\xff"),
    "If-Modified-Since": ("x", "Thu, 01 Jan 1970 00:00:00 GMT"),
    "X-Forwarded-For": ("1.2.3.4, x", "\xff"),
    "X-HTTP-Method-Override": ("DELETE",),
    "Cookie": ("session=x", "language=\xff", "=;=;", "session=.eJw"),
    "Authorization": ("Basic x", "Bearer x", "Basic \xff"),
    "Content-Encoding": ("gzip",),
    "X-Twilio-Signature": ("", "x" * 28, "\xff" * 28),
    "X-Twilio-Webhooks-Signature-Settings": ("alg=HMAC-SHA256", "\xff"),
}
CONTENT_TYPES = (
    *("", "x", "text/plain", "application/json", "application/json; charset=utf-7", "multipart/form-data"),
    *("multipart/form-data; boundary=", 'multipart/form-data; boundary="\xff"', "application/x-www-form-urlencoded"),
    *("application/x-www-form-urlencoded; charset=utf-16", "text/xml", "application/octet-stream"),
)
WEBHOOK_NAMES = (
    *("MessageSid", "SmsSid", "MessageStatus", "SmsStatus", "ErrorCode", "From", "To", "Body", "OptOutType"),
    *("AccountSid",),
    *("NumSegments", "RawDlrDoneDate", "MessagingServiceSid", "ApiVersion", "FromCountry", "NumMedia"),
)
WEBHOOK_VALUES = (
    *("SM" + "0" * 32, "SM1", "delivered", "undelivered", "failed", "sent", "read", "30003", "STOP", "START"),
    *("HELP", "Stop."),
    *("+12025550101", "+12025550102", "+12025550199", "whatsapp:+12025550101", "attempt-1", "2701011200"),
)
