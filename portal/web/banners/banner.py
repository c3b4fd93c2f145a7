"""A banner, and those whose way out is on Queues or among the diagnostics."""

from dataclasses import dataclass

from flask import url_for

from portal.core.translation import gettext as _
from portal.gateways.rules.provider_codes import explain_error_code


@dataclass(frozen=True)
class Banner:
    """`setting` is the cause; it expires at `until_ms`, and `after_end` says what follows.

    `page_url` (labelled `page_label`) is where to fix anything else. `code` is Twilio's error code, if any.
    """

    tone: str
    label: str
    text: str
    setting: str = ""
    until_ms: int | None = None
    after_end: str = ""
    page_url: str = ""
    page_label: str = ""
    code: str = ""

    @property
    def help_url(self) -> str:
        """Twilio's page about the code; "" without one."""
        return explain_error_code(self.code).docs_url if self.code else ""


def diagnostics_banner(label: str, text: str, code: str = "") -> Banner:
    url = url_for("sysadmin_harness.page", _anchor="doctor")
    return Banner("bad", label, text, page_url=url, page_label=_("Diagnostics"), code=code)


def queues_banner(
    label: str, text: str, anchor: str | None = None, tone: str = "bad", until_ms: int | None = None, code: str = ""
) -> Banner:
    url = url_for("sysadmin_queues.page", _anchor=anchor)
    return Banner(tone, label, text, until_ms=until_ms, page_url=url, page_label=_("Queues"), code=code)
