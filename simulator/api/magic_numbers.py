"""The phone numbers with fixed results under Twilio's test credentials (docs/twilio.md#test-credentials)."""

MAGIC_FROM_ACCEPTED = "+15005550006"
MAGIC_FROM_ERRORS = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
MAGIC_TO_ERRORS = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
