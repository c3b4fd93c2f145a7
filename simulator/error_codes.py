"""Twilio's error codes that the simulator returns, and their messages. See docs/twilio.md#error-codes."""

_MESSAGES = {
    20001: "Unknown parameters",
    20003: "Authenticate",
    20005: "Account not active",
    20008: "Resource not accessible with Test Account Credentials",
    20009: "Message resource is still in progress",
    20404: "The requested resource was not found",
    20429: "Too Many Requests",
    20500: "An internal server error has occurred",
    21211: "Invalid 'To' Phone Number",
    21212: "Invalid 'From' Phone Number",
    21266: "'To' and 'From' number cannot be the same",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number",
    21481: "Invalid PageToken",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21606: "The 'From' phone number is not a valid, SMS-capable phone number for your account.",
    21609: "The 'StatusCallback' URL is not a valid URL.",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages",
    21612: "The 'To' phone number is not currently reachable using the 'From' phone number",
    21614: "'To' number is not a valid mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21624: "Invalid validity period value",
    21705: "The Messaging Service Sid is invalid",
    30003: "Unreachable destination handset",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
    30036: "Validity Period Expired",
}


def error_message(code: int) -> str:
    return _MESSAGES.get(code, f"Error {code}")


class ApiError(Exception):
    """An error response in the format of Twilio's API."""

    def __init__(self, code: int, status: int = 400, detail: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.detail = detail

    def body(self) -> dict[str, object]:
        body: dict[str, object] = {
            "code": self.code,
            "message": error_message(self.code),
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }
        if self.detail:
            body["detail"] = self.detail
        return body
