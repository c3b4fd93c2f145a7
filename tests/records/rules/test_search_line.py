"""The search line: what it asks for, what is wrong with it, and how it is changed and completed."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from gettext import NullTranslations
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.rules.delivery_status import StateGroup
from portal.core.translation import Language, use_language
from portal.records.rules.search_line import (
    EXAMPLES,
    MAX_LENGTH,
    PREFIXES,
    InvalidSearch,
    SearchQuery,
    Viewer,
    filter_values,
    parse_search_line,
    replace_filter,
    tokens,
    without_language,
    write_filter,
)
from portal.records.rules.search_suggestions import Suggestion, unfinished

NOW = datetime(2026, 3, 9, 3, 0, tzinfo=UTC)
"""Still the evening of 8 March in Chicago, the day on which the clocks there have gone forward."""
VIEWER = Viewer("America/Chicago", "US", round(NOW.timestamp() * 1000))


class Spanish(NullTranslations):
    def gettext(self, message: str) -> str:
        return {"Not delivered": "No entregado"}.get(message, message)


def chicago_ms(year: int, month: int, day: int) -> int:
    return round(datetime(year, month, day, tzinfo=ZoneInfo("America/Chicago")).timestamp() * 1000)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {}),
        ("  \t ", {}),
        ("Östlund RENEWAL renewal", {"words": ("ostlund", "renewal")}),
        ('"Olive  Owner" is', {"words": ("olive owner", "is")}),
        ("“Olive Owner” to:«Å B»", {"words": ("olive owner",), "recipients": ("a b",)}),
        ('open "quote is', {"words": ("open", "quote is")}),
        ('"" to:olive to:owner', {"recipients": ("olive", "owner")}),
        ('"status:failed" 10:30 %_', {"words": ("status:failed", "10:30", "%_")}),
        ("STATUS:Failed status:waiting", {"groups": (StateGroup.FAILED, StateGroup.WAITING)}),
        ('status:no-receipt status:"Not delivered"', {"groups": (StateGroup.NO_RECEIPT, StateGroup.FAILED)}),
        ("status:cancelled channel:text channel:SMS", {"groups": (StateGroup.CANCELED,), "channels": ("sms",)}),
        ("before:2026-03-09", {"before_ms": chicago_ms(2026, 3, 9)}),
        ("after:today after:yesterday", {"after_ms": chicago_ms(2026, 3, 8)}),
        ("before:today before:yesterday", {"before_ms": chicago_ms(2026, 3, 7)}),
        ('number:"(202) 555-0101" number:+12025550101', {"numbers": ("+12025550101",)}),
        ("send:12 send:#7 send:12", {"send_ids": (12, 7)}),
        ("code:30003 template:Renewal", {"codes": ("30003",), "templates": ("renewal",)}),
        ("(202) 555 0101", {"words": ("2025550101",)}),
        ("to:(202)555-0101", {"recipients": ("2025550101",)}),
        ("2026 12", {"words": ("2026", "12")}),
        ("😀 \u200b", {"words": ("😀",)}),
    ],
)
def test_line_is_read_as_a_query(line: str, expected: dict[str, Any]) -> None:
    assert parse_search_line(line, VIEWER) == SearchQuery(**expected)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("from:olive", "There is no filter “from:”. Filters are to:, template:,"),
        ("https://example.org", "put it in quotation marks"),
        ("status:", "Write what to look for after status:, such as status:failed."),
        ("template:\u0301", "Write what to look for after template:, such as template:renewal."),
        ('olive to:" "', 'Write what to look for after to:, such as to:"Olive Owner".'),
        ("status:broken", "“broken” is not a status. Choose from waiting, sending,"),
        ("channel:fax", "“fax” is not a channel. Write channel:email or channel:text."),
        ("before:soon", "Write the year, month and day, such as before:2026-03-08."),
        ("after:2026-02-30", "“2026-02-30” is not a day."),
        ("number:555", "“555” is not a whole phone number."),
        ("send:-1", "“-1” is not the number of a send. Write send:12."),
        (f"send:{'9' * 19}", "is not the number of a send"),
        ("code:<b>", "“<b>” is not an error code. Write code:30003."),
        ("a" * (MAX_LENGTH + 1), "A search can have at most 300 characters."),
    ],
)
def test_unusable_line_is_explained(line: str, message: str) -> None:
    with pytest.raises(InvalidSearch) as problem:
        parse_search_line(line, VIEWER)
    assert message in str(problem.value)


@given(st.text(max_size=MAX_LENGTH))
def test_any_text_is_a_query_or_explained(line: str) -> None:
    with contextlib.suppress(InvalidSearch):
        parse_search_line(line, VIEWER)
    typed = line.translate(str.maketrans("“”„«»", '"""""'))
    assert "".join("".join(token.text for token in tokens(line)).split()) == "".join(typed.split())


@pytest.mark.parametrize("prefix", PREFIXES)
def test_example_of_every_filter_is_valid(prefix: str) -> None:
    assert not parse_search_line(EXAMPLES[prefix], VIEWER).is_empty


def test_filter_of_a_line_can_be_replaced() -> None:
    line = 'olive status:failed "a b" STATUS:waiting to:"c d"'
    assert replace_filter(line, "status", "delivered") == 'olive "a b" to:"c d" status:delivered'
    assert replace_filter(line, "status") == 'olive "a b" to:"c d"'
    assert filter_values(line, "status") == ["failed", "waiting"]
    assert replace_filter('olive "open quote', "status", "failed") == 'olive "open quote" status:failed'
    assert replace_filter('TO:"olive', "status", "failed") == 'TO:"olive" status:failed'
    assert replace_filter('6"x4 a:"', "status", "failed") == '6"x4 a:"" status:failed'
    assert write_filter("to", 'Olive "O" Owner') == 'to:"Olive  O  Owner"'


def test_zone_that_no_longer_exists_counts_as_utc() -> None:
    """An export keeps the zone in which it was asked for."""
    query = parse_search_line("after:today", replace(VIEWER, zone="Mars/Olympus_Mons"))
    assert query.after_ms == round(datetime(2026, 3, 9, tzinfo=UTC).timestamp() * 1000)


def test_status_in_another_language_is_kept_by_its_name() -> None:
    line = 'olive STATUS:"not delivered" "a b" status:waiting status:nonsense'
    assert without_language(line) == 'olive status:failed "a b" status:waiting status:nonsense'
    with use_language(Language("es", Spanish())):
        assert without_language('status:"No entregado"') == "status:failed"


def test_suggestions_complete_the_end_of_a_line() -> None:
    meanings = [("status", "Status"), ("send", "Send"), ("to", "Recipient")]
    assert [item.line for item in unfinished("").prefixes(meanings)] == ["status:", "send:", "to:"]
    assert [item.line for item in unfinished("olive S").prefixes(meanings)] == ["olive status:", "olive send:"]
    assert unfinished("a b ").prefixes(meanings)[2] == Suggestion("a b to:", "Recipient")
    statuses = [("failed", "Not delivered"), ("waiting", "Waiting")]
    assert unfinished('"a b" status:f').values(statuses) == [Suggestion('"a b" status:failed', "Not delivered")]
    assert [item.line for item in unfinished("status:deliv").values(statuses)] == ["status:failed"]
