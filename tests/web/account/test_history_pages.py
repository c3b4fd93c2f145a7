"""Communications History: what a person finds in it, and how each message reached them."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal.core.extensions import db
from portal.core.rules.routing import Reason
from portal.messages.tables.communications import Communication, Delivery
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import app_transaction, visible_text
from tests.support.web_client import WebClient

PAGE = "/MyAccount/CommunicationsHistory"
_YEAR_MS = 366 * 86_400_000


@pytest.fixture
def history(web_app: Flask, sms_enabled: None, sent_communications: dict[str, int]) -> dict[str, int]:
    """Of Olive: a notice of a send in 2025 or 2026, and an older message of no send with other words."""
    with app_transaction(web_app):
        notice = db.session.get_one(Communication, sent_communications["P-1"])
        old_ms = notice.created_at_ms - 2 * _YEAR_MS
        older = Communication(
            account_id=notice.account_id, kind="notification", subject="Fee 100% due", body="Pay José."
        )
        older.token, older.created_at_ms, older.read_at_ms = "older", old_ms, old_ms
        db.session.add(older)
        db.session.flush()
        return {"notice": notice.id, "older": older.id}


def subjects(client: WebClient, **query: str) -> list[bool]:
    """Whether the notice and the older message are in the list."""
    page = client.get(PAGE, query_string=query).text
    assert find_page_problems(page) == []
    return ["Notice for Olive Owner" in page, "Fee 100% due" in page]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [True, True]),
        ({"q": "notice OLIVE"}, [True, False]),
        ({"q": "100%"}, [False, True]),
        ({"q": "0_%"}, [False, False]),
        ({"q": "pay"}, [False, True]),
        ({"q": "JOSE"}, [False, True]),
        ({"show": "unread"}, [True, False]),
        ({"template": "1"}, [True, False]),
        ({"template": "99"}, [False, False]),
        ({"year": "1999", "show": "x", "template": "x", "before": "-1"}, [True, True]),
    ],
)
def test_filters_narrow_the_list(
    number_owner: WebClient, history: dict[str, int], query: dict[str, str], expected: list[bool]
) -> None:
    assert subjects(number_owner, **query) == expected


def test_year_is_that_of_the_readers_zone(number_owner: WebClient, history: dict[str, int]) -> None:
    """The notice was made on January 1, 2026, UTC, which is December 31, 2025, in New York."""
    assert subjects(number_owner, year="2025") == [True, False]
    assert subjects(number_owner, year="2023") == [False, True]
    assert subjects(number_owner, year="2024") == [False, False]


def test_all_are_read_up_to_the_newest_that_was_shown(
    web_app: Flask, number_owner: WebClient, history: dict[str, int]
) -> None:
    page = number_owner.get(PAGE).text
    assert f'name="through" value="{history["older"]}"' in page
    number_owner.post(f"{PAGE}/read", through=str(history["notice"] - 1))
    assert ">New<" in number_owner.get(PAGE).text
    number_owner.post(f"{PAGE}/read", through=str(history["older"]))
    assert ">New<" not in number_owner.get(PAGE).text
    with web_app.app_context():
        unread = select(func.count()).where(Communication.read_at_ms.is_(None))
        assert db.session.scalar(unread) == 5, "other people’s messages are as they were"


def test_message_counts_as_opened_only_once_its_page_is_shown(
    web_app: Flask, number_owner: WebClient, history: dict[str, int]
) -> None:
    def opened() -> list[bool]:
        with web_app.app_context():
            query = select(Communication.opened_at_ms.is_not(None)).where(Communication.read_at_ms.is_not(None))
            return [bool(is_opened) for is_opened in db.session.scalars(query.order_by(Communication.id))]

    number_owner.post(f"{PAGE}/read", through=str(history["older"]))
    assert opened() == [False, True]
    assert number_owner.get(f"{PAGE}/{history['notice']}").status_code == 200
    assert opened() == [True, True]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": "delivered"}, "By email and by text"),
        (
            {"state": "skipped", "reason": Reason.NO_NUMBER.value},
            "By email. Your account had no phone number for texts. Add a phone number",
        ),
        ({"state": "skipped", "reason": Reason.TEMPLATE_EMAIL_ONLY.value}, "This notification goes by email only."),
        ({"state": "undelivered"}, "The text did not arrive at your phone. Check your phone numbers"),
        (
            {"state": "opted_out"},
            "Texts to your phone were stopped. To get them again, text START from that phone.",
        ),
        ({"state": "canceled"}, "The text was canceled before it was sent."),
        ({"state": "simulated"}, "By email. No text was sent."),
    ],
)
def test_entry_says_how_it_came_and_why_not_by_text(
    web_app: Flask, number_owner: WebClient, history: dict[str, int], changes: dict[str, Any], expected: str
) -> None:
    set_states(web_app, history["notice"], **changes)
    for path in (PAGE, f"{PAGE}/print"):
        assert expected.partition(" Add ")[0].partition(" Check ")[0] in visible_text(number_owner.get(path).text)
    assert expected in visible_text(number_owner.get(PAGE).text)


def test_every_reason_has_words_for_the_recipient(
    web_app: Flask, number_owner: WebClient, history: dict[str, int]
) -> None:
    for reason in set(Reason) - {Reason.QUIET_HOURS, Reason.MODE_CHANGED}:
        set_states(web_app, history["notice"], state="skipped", reason=reason.value)
        assert "No text was sent." not in visible_text(number_owner.get(PAGE).text), reason


def test_stranger_with_the_number_does_not_learn_of_its_stop(
    web_app: Flask, other_user: WebClient, sms_enabled: None, sent_communications: dict[str, int]
) -> None:
    """Anybody can add somebody else’s number: the account has consented to nothing."""
    number_owners = {"number": "+12025550101", "account_id": 2}
    with app_transaction(web_app):
        db.session.execute(update(Delivery).where(Delivery.channel == "email").values(state="handed_off"))
    with app_transaction(web_app):
        from portal.accounts.tables.phone_numbers import PhoneNumber

        db.session.add(PhoneNumber(created_at_ms=1, **number_owners))
    set_states(web_app, sent_communications["P-2"], state="skipped", reason=Reason.STOPPED.value, address="")
    words = visible_text(other_user.get(PAGE).text)
    assert "STOP" not in words
    assert "No phone number of yours was enabled for texts." in words


def set_states(app: Flask, communication_id: int, **text: Any) -> None:
    own = Delivery.communication_id == communication_id
    with app_transaction(app):
        db.session.execute(update(Delivery).where(own, Delivery.channel == "email").values(state="handed_off"))
        db.session.execute(update(Delivery).where(own, Delivery.channel == "sms").values(**{"reason": "", **text}))
