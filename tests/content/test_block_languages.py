"""In which language a wording about texts reaches a person, and what the ledger says of it."""

import pytest
from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.consent import invitations, ledger_verification
from portal.consent.consent_export import describe_events
from portal.consent.consent_notifications import language_of_number
from portal.consent.rules.keywords import language_of_words
from portal.consent.tables.ledger import ConsentEvent
from portal.content.rules.content_block_checks import MOVE_NOTICES, OPT_IN_PROMPT, WELCOME_TEXT
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.core.translation import language_named, use_language
from portal.messages.tables.communications import Communication, Delivery
from tests.support import inbound_helpers, scenario

pytestmark = pytest.mark.usefixtures("app")
NUMBER, TO = scenario.phone_number(0), "60606"
STRANGER = scenario.phone_number(7)
NOW = scenario.now_ms() - 60 * inbound_helpers.MINUTE_MS
ENGLISH_HELP, SPANISH_HELP = ": account notices by text.", ": avisos por SMS."


@pytest.fixture(autouse=True)
def person(app: object) -> int:
    """Who reads Spanish, at a short code, where only the portal answers keywords."""
    scenario.configure_gateway(SmsGatewaySettings='{"FromNumber": "60606"}')
    account_id = inbound_helpers.create_sharing_accounts(NUMBER, NOW, "A")[0]
    choose_language(account_id, "es")
    return account_id


def choose_language(account_id: int, code: str) -> None:
    with transaction() as session:
        session.get_one(Account, account_id).language = code


def receive(body: str, minute: int, number: str = NUMBER) -> str:
    return inbound_helpers.receive_text(body, number, NOW + minute * inbound_helpers.MINUTE_MS, To=TO) or ""


def bodies(kind: str) -> list[str]:
    query = select(Delivery.body).join(Communication).where(Communication.kind == kind, Delivery.channel == "sms")
    return list(db.session.scalars(query.order_by(Delivery.id)))


def test_invitation_and_welcome_are_in_the_language_of_the_account(person: int) -> None:
    inbound_helpers.invite(person, NUMBER, NOW)
    receive("START", 1)
    assert bodies("invitation")[0].startswith("Notification portal: responda START")
    assert bodies("welcome")[0].startswith("Notification portal: sus avisos ya llegan por SMS.")
    query = select(Communication.content_block).where(Communication.kind == "welcome")
    assert db.session.scalars(query).one() == f"{WELCOME_TEXT}.es"


def test_notice_of_a_move_is_in_the_language_of_the_new_account(person: int) -> None:
    receive("START", 0)
    other = inbound_helpers.create_sharing_accounts(NUMBER, NOW + inbound_helpers.MINUTE_MS, "B")[0]
    choose_language(other, "en")
    inbound_helpers.invite(other, NUMBER, NOW + 20 * inbound_helpers.MINUTE_MS)
    receive("START", 21)
    assert bodies("welcome")[-1].endswith(MOVE_NOTICES[WELCOME_TEXT]["en"])
    choose_language(other, "es")
    inbound_helpers.invite(person, NUMBER, NOW + 40 * inbound_helpers.MINUTE_MS)
    receive("START", 41)
    assert bodies("welcome")[-1].endswith(MOVE_NOTICES[WELCOME_TEXT]["es"])


def test_prompt_is_in_the_language_of_the_reader_and_the_ledger_keeps_it(person: int) -> None:
    with use_language(language_named("es")):
        inbound_helpers.invite(person, NUMBER, NOW)
    inbound_helpers.invite(person, NUMBER, NOW + 30 * inbound_helpers.MINUTE_MS)
    spanish, english = describe_events(list(db.session.scalars(select(ConsentEvent).order_by(ConsentEvent.id))))
    assert (spanish.event.content_block, english.event.content_block) == (f"{OPT_IN_PROMPT}.es", OPT_IN_PROMPT)
    assert spanish.wording == "MyAccount → SMS Opt-in Confirmation Prompt, Español"
    assert "Responda START a ese" in spanish.event.text
    assert ledger_verification.verify_chain().is_valid


def test_prompt_in_another_language_must_be_read_again(person: int) -> None:
    seen = invitations.opt_in_prompt(NUMBER).fingerprint
    phone_id = inbound_helpers.phone_id(person, NUMBER)
    with use_language(language_named("es")), pytest.raises(invitations.WordingChanged):
        invitations.invite(phone_id, inbound_helpers.make_actor(person), seen, NOW)


def test_keywords_are_answered_in_the_language_of_the_account() -> None:
    assert SPANISH_HELP in receive("HELP", 0)
    assert "su baja queda confirmada" in receive("STOP", 1)
    (*_others, message) = inbound_helpers.inbound_messages(NUMBER)
    assert message.auto_reply_content_block == "stop-answer.es"


@pytest.mark.parametrize(
    ("body", "answer"), [("AYUDA", SPANISH_HELP), ("HELP", ENGLISH_HELP), ("ALTO", "su baja"), ("STOP", "opted out")]
)
def test_unknown_number_is_answered_in_the_language_of_its_words(body: str, answer: str) -> None:
    assert answer in receive(body, 0, STRANGER)


def test_same_answer_in_another_language_counts_as_a_repetition() -> None:
    assert SPANISH_HELP in receive("AYUDA", 0, STRANGER)
    assert receive("HELP", 1, STRANGER) == ""


def test_accounts_that_disagree_leave_the_choice_to_the_words(person: int) -> None:
    other = inbound_helpers.create_sharing_accounts(NUMBER, NOW, "B")[0]
    choose_language(other, "en")
    assert [language_of_number(NUMBER, words).code for words in ("HELP", "AYUDA")] == ["en", "es"]
    inbound_helpers.invite(person, NUMBER, NOW)
    receive("START", 1)
    assert language_of_number(NUMBER, "HELP").code == "es", "the account that gets its texts"


def test_account_that_chose_no_language_leaves_the_choice_to_the_words(person: int) -> None:
    choose_language(person, "")
    assert [language_of_number(NUMBER, words).code for words in ("HELP", "AYUDA")] == ["en", "es"]


@pytest.mark.parametrize(
    "words",
    [
        *("Alto", "PARE", "baja", "¡Ayúdenme!", "Información", "no me manden más mensajes", "Dejen de escribirme"),
        *("Ya no me escriban", "No molesten", "Sáquenme de la lista", "Estoy harta de sus avisos", "¡Basta!", "Cesen"),
        *("No me interesa", "Detengan esto", "eliminar suscripción", "No enviar", "Quiten mi teléfono"),
    ],
)
def test_spanish_requests_are_recognized(words: str) -> None:
    assert language_of_words(words) == "es"


@pytest.mark.parametrize("words", ["STOP", "Help", "info", "please stop texting me", "arrêt", "aide", "no more", ""])
def test_other_requests_are_not_read_as_spanish(words: str) -> None:
    assert language_of_words(words) == ""
