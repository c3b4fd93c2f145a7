"""Every sentence that reviewers of carriers look for is named when it is missing."""

import pytest

from portal.content.rules import merge_fields
from portal.content.rules.content_block_checks import (
    BLOCKS,
    OPT_IN_PAGE,
    PRIVACY,
    STOP_REPLY,
    TERMS,
    UNKNOWN_VALUES,
    find_wording_issues,
)

ORGANISATION = "Board of Example"
VALUES = {
    "organisation": ORGANISATION,
    "portal_url": "https://portal.example.org",
    "sending_number": "(202) 555-0100",
    "phone_number": "(202) 555-0101",
    "support_contact": "help@example.org",
}
SENTENCES = {
    TERMS: {
        "These terms are for": "who sends",
        "**Program:**": "program, text messages",
        "**What we send:**": "what is sent",
        "**How to join:**": "START",
        "**How often:**": "frequency",
        "**Cost:**": "data rates may apply",
        "**To end it:**": "STOP, STOP in bold",
        "**For assistance:**": "HELP, HELP in bold",
        "**Support:**": "support contact",
        "**Complaints:**": "complaints",
        "**Carriers:**": "carriers",
        "**Privacy:**": "link to the privacy policy",
    },
    PRIVACY: {
        "This page says what": "who sends, text messages",
        "**What we collect:**": "what is collected",
        "**No sharing for marketing:**": "no sharing for marketing",
        "**Your agreement:**": "consent is not shared",
        "**To end it:**": "STOP, STOP in bold",
        "**Support:**": "support contact",
        "**Complaints:**": "complaints",
        "**Terms:**": "link to the terms",
    },
    OPT_IN_PAGE: {
        "sends text messages (SMS)": "who sends, text messages",
        "**What we send:**": "what is sent",
        "**How often:**": "frequency",
        "**Cost:**": "data rates may apply",
        "**For assistance:**": "HELP, HELP in bold",
        "**To end it:**": "STOP, STOP in bold",
        "**Your choice:**": "consent is optional",
        "**Your agreement:**": "START",
        "[terms]": "link to the terms",
        "[privacy policy]": "link to the privacy policy",
    },
    f"{TERMS}.es": {
        "Estos términos son para": "who sends",
        "**Programa:**": "program, text messages",
        "**Qué enviamos:**": "what is sent",
        "**Cómo suscribirse:**": "START",
        "**Frecuencia:**": "frequency",
        "**Costo:**": "data rates may apply",
        "**Para darse de baja:**": "STOP, STOP in bold",
        "**Para obtener ayuda:**": "HELP, HELP in bold",
        "**Contacto:**": "support contact",
        "**Quejas:**": "complaints",
        "**Operadores móviles:**": "carriers",
        "**Privacidad:**": "link to the privacy policy",
    },
    f"{PRIVACY}.es": {
        "Esta página explica": "who sends, text messages",
        "**Qué recopilamos:**": "what is collected",
        "**Sin fines de marketing:**": "no sharing for marketing",
        "**Su consentimiento:**": "consent is not shared",
        "**Para darse de baja:**": "STOP, STOP in bold",
        "**Contacto:**": "support contact",
        "**Quejas:**": "complaints",
        "**Términos:**": "link to the terms",
    },
    f"{OPT_IN_PAGE}.es": {
        "envía mensajes de texto (SMS)": "who sends, text messages",
        "**Qué enviamos:**": "what is sent",
        "**Frecuencia:**": "frequency",
        "**Costo:**": "data rates may apply",
        "**Para obtener ayuda:**": "HELP, HELP in bold",
        "**Para darse de baja:**": "STOP, STOP in bold",
        "**Usted decide:**": "consent is optional",
        "**Su consentimiento:**": "START",
        "[términos]": "link to the terms",
        "[política de privacidad]": "link to the privacy policy",
    },
}
"""By page and part of a sentence: what is missing without the sentence."""
CASES = [(key, part, missing) for key, sentences in SENTENCES.items() for part, missing in sentences.items()]


def _missing(key: str, source: str, values: dict[str, str] = VALUES) -> str:
    issues = find_wording_issues(key, merge_fields.render_body(source, values), ORGANISATION)
    return ", ".join(sorted((issue.point for issue in issues), key=str.casefold))


def without_sentence(key: str, part: str) -> str:
    paragraphs = BLOCKS[key].default.replace("\n- ", "\n\n- ").split("\n\n")
    left = [paragraph for paragraph in paragraphs if part not in paragraph]
    assert len(left) == len(paragraphs) - 1
    return "\n\n".join(left)


@pytest.mark.parametrize("key", SENTENCES)
def test_shipped_page_has_every_sentence(key: str) -> None:
    assert _missing(key, BLOCKS[key].default) == ""


@pytest.mark.parametrize(("key", "part", "missing"), CASES)
def test_sentence_that_is_left_out_is_named(key: str, part: str, missing: str) -> None:
    assert _missing(key, without_sentence(key, part)) == ", ".join(sorted(missing.split(", "), key=str.casefold))


@pytest.mark.parametrize("key", SENTENCES)
def test_every_required_point_can_be_missing(key: str) -> None:
    named = {point for missing in SENTENCES[key].values() for point in missing.split(", ")}
    assert len(named) == len(BLOCKS[key].required_points)


@pytest.mark.parametrize(
    ("key", "sentence", "point"),
    [
        (
            PRIVACY,
            "Ninguna información móvil se comparte con terceros para fines promocionales.",
            "no sharing for marketing",
        ),
        (PRIVACY, "No cedemos su número a terceros con fines de mercadotecnia.", "no sharing for marketing"),
        (PRIVACY, "Nunca compartimos su consentimiento.", "consent is not shared"),
        (PRIVACY, "Guardamos su teléfono.", "what is collected"),
        (TERMS, "Las compañías telefónicas no se hacen responsables de los retrasos.", "carriers"),
        (TERMS, "Los operadores no asumen responsabilidad por mensajes perdidos.", "carriers"),
        (TERMS, "Contáctenos: help@example.org", "support contact"),
        (TERMS, "Llame al (202) 555-0100.", "support contact"),
        (TERMS, "Envíe sus reclamaciones a help@example.org.", "complaints"),
        (TERMS, "La cantidad de mensajes puede variar.", "frequency"),
        (OPT_IN_PAGE, "No es necesario aceptar para recibir un servicio.", "consent is optional"),
        (OPT_IN_PAGE, "Los mensajes son voluntarios.", "consent is optional"),
        (STOP_REPLY, "Se canceló su suscripción.", "confirmation"),
        (STOP_REPLY, "Ha dejado de recibir nuestros mensajes.", "confirmation"),
    ],
)
def test_other_usual_sentences_count_in_spanish(key: str, sentence: str, point: str) -> None:
    points = [issue.point for issue in find_wording_issues(f"{key}.es", sentence, ORGANISATION)]
    assert point not in points
    assert len(points) >= len(BLOCKS[key].required_points) - 2, "it says nothing else"


@pytest.mark.parametrize(
    ("key", "sentence", "point"),
    [
        (PRIVACY, "Compartimos su información con terceros con fines de marketing.", "no sharing for marketing"),
        (PRIVACY, "Compartimos su consentimiento con las empresas afiliadas.", "consent is not shared"),
        (OPT_IN_PAGE, "El consentimiento es condición del servicio.", "consent is optional"),
        (TERMS, "Los operadores son responsables de la entrega.", "carriers"),
        (STOP_REPLY, "Responda STOP para cancelar.", "confirmation"),
    ],
)
def test_sentence_that_says_the_opposite_does_not_count(key: str, sentence: str, point: str) -> None:
    assert point in [issue.point for issue in find_wording_issues(f"{key}.es", sentence, ORGANISATION)]


@pytest.mark.parametrize("key", [TERMS, f"{TERMS}.es"])
@pytest.mark.parametrize("word", ["STOP", "HELP"])
def test_instruction_without_bold_print_is_named(key: str, word: str) -> None:
    assert _missing(key, BLOCKS[key].default.replace(f"**{word}**", word)) == f"{word} in bold"


@pytest.mark.parametrize(("key", "missing"), [(TERMS, "support contact"), (f"{TERMS}.es", "support contact")])
def test_page_without_a_support_contact_is_named(key: str, missing: str) -> None:
    values = {**VALUES, **UNKNOWN_VALUES[BLOCKS[key].language]}
    assert _missing(key, BLOCKS[key].default, values) == missing
