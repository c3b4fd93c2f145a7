"""Count the texts of a claim toward the frequency cap, and let the last one name those that stay behind it."""

from collections import Counter
from collections.abc import Mapping

from portal.core.translation import ngettext
from portal.messages.rules.named_texts import OrganisationNames, fit_named_text
from portal.messages.rules.sms_segments import FittedText, measure_sms


class TextCounts:
    """How many texts each number has had within 24 hours, with those of this claim; none is full without a cap."""

    def __init__(self, cap: int | None, recent: Mapping[str, int]) -> None:
        self._cap, self._counts = cap, Counter(recent)

    def is_full(self, phone: str) -> bool:
        return self._cap is not None and self._counts[phone] >= self._cap

    def add(self, phone: str) -> None:
        self._counts[phone] += 1


def with_more_texts(body: str, more: int, history_url: str, names: OrganisationNames) -> FittedText:
    """The text of a notification, which ends with its link, and how many more are to be read. Shortened if need be.

    Where that would cost a segment more, it stays as it is.
    """
    subject, _space, link = body.rpartition(" ")
    notice = ngettext(
        "%(num)s more in your history: %(url)s", "%(num)s more in your history: %(url)s", more, url=history_url
    )
    fitted, size = fit_named_text(subject, f"{link} {notice}", names), measure_sms(body)
    return fitted if fitted.size.segments <= size.segments else FittedText(body, False, size)
