"""People search their own communications by words, whatever the case and the accents, on both databases."""

import pytest
from flask import Flask
from sqlalchemy import update

from portal.core.transaction import transaction
from portal.messages.tables.communications import Communication
from portal.records.tables.person_history import HistoryFilter, history_page
from tests.support import scenario


@pytest.fixture
def received(app: Flask) -> None:
    """Five communications of account 1; the second has a body of its own."""
    scenario.create_accounts(1)
    scenario.add_template(subject="Renewal is due")
    for _number in range(5):
        scenario.create_expanded_send()
    with transaction() as session:
        body = "Your **ÉCOLE** in Ávila – “50 %” paid, O’Neill_1"
        session.execute(update(Communication).where(Communication.id == 2).values(body=body))


@pytest.mark.usefixtures("received")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", [5, 4]),
        ("RENEWAL due", [5, 4]),
        ("école avila", [2]),
        ("Ecole “50", [2]),
        ("o'neill_1", [2]),
        ("50 %", [2]),
        ("50%", []),
        ("o_neill", []),
        ("renewal nothing", []),
    ],
)
def test_words_are_found_whatever_their_case_and_accents(words: str, expected: list[int]) -> None:
    assert [row.id for row in history_page(1, HistoryFilter(words), None, 2, with_sms=True)] == expected


@pytest.mark.usefixtures("received")
def test_next_page_begins_behind_the_last() -> None:
    pages = [history_page(1, HistoryFilter("renewal"), before, 2, with_sms=True) for before in (4, 2)]
    assert [[row.id for row in page] for page in pages] == [[3, 2], [1]]
