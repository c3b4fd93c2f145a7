"""START by one tap: a link that opens a new text on this device, and a QR code that does so on another."""

from dataclasses import dataclass

from markupsafe import Markup

from portal.web.account.qr_code import qr_code_svg


@dataclass(frozen=True)
class StartLink:
    """`number` is the one in E.164 to text START to."""

    number: str

    @property
    def address(self) -> str:
        """iOS expects “&” before the body, Android “?”; both read this."""
        return f"sms:{self.number}?&body=START"

    def qr_code(self, title: str) -> Markup:
        return qr_code_svg(f"SMSTO:{self.number}:START", title)
