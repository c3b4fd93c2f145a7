"""The public pages about texts, and the registration pack in the browser."""

import json

import pytest
from flask import Flask

from portal.content import content_blocks
from portal.content.rules.content_block_checks import BLOCKS, PUBLIC_PAGES, localizations
from portal.gateways.rules.fetched_page import FetchedPage
from portal.operations.rules.checks import CheckResult
from portal.operations.rules.public_page_checks import check_public_pages
from portal.settings import setting_changes
from tests.content.rules.test_public_page_wording import SENTENCES, without_sentence
from tests.support.html_checks import find_page_problems
from tests.support.web_client import NOW_MS, PUBLIC_URL, WebClient

PACK = "/SysAdmin/Registration"


@pytest.fixture
def business(web_app: Flask) -> None:
    with web_app.app_context():
        setting_changes.set_setting("Business", json.dumps({"SupportEmail": "help@example.org"}), None, NOW_MS)


def test_everybody_reads_the_public_pages_while_texts_are_off(visitor: WebClient, business: None) -> None:
    for name in ("terms", "privacy", "opt-in"):
        response = visitor.get(f"/sms/{name}")
        assert (response.status_code, find_page_problems(response.text)) == (200, []), name
        assert "help@example.org" in response.text or name == "opt-in"
        assert "<strong>STOP</strong>" in response.text
    assert visitor.get("/sms/nothing").status_code == 404


def _check_as_reviewer(visitor: WebClient) -> CheckResult:
    blocks = [block for key in PUBLIC_PAGES for block in localizations(key)]
    names = {block.key: f"/{block.base_key.replace('-', '/', 1)}?language={block.language}" for block in blocks}
    pages = {key: (PUBLIC_URL + path, FetchedPage(200, visitor.get(path).text)) for key, path in names.items()}
    return check_public_pages(pages, visitor.client.application.config["PORTAL"].organisation)


def test_diagnostics_find_every_sentence_on_the_pages(visitor: WebClient, business: None) -> None:
    result = _check_as_reviewer(visitor)
    assert (result.verdict, result.fix) == ("ok", ""), result.reason


def test_diagnostics_name_each_sentence_that_was_removed(web_app: Flask, visitor: WebClient, business: None) -> None:
    for key, sentences in SENTENCES.items():
        for number, (part, missing) in enumerate(sentences.items()):
            with web_app.app_context():
                content_blocks.save_block(key, without_sentence(key, part), None, NOW_MS + number)
            reason = _check_as_reviewer(visitor).reason
            assert all(point in reason for point in missing.split(", ")), (key, part, reason)
        with web_app.app_context():
            content_blocks.save_block(key, BLOCKS[key].default, None, NOW_MS + 100)


def test_address_of_a_public_page_chooses_its_language(visitor: WebClient, business: None) -> None:
    for name, sentence in (("terms", "Qué enviamos:"), ("privacy", "Qué recopilamos:"), ("opt-in", "Usted decide:")):
        response = visitor.get(f"/sms/{name}?language=es")
        spanish = response.text
        assert (response.headers["Content-Language"], find_page_problems(spanish)) == ("es", [])
        assert f'name="next" value="/sms/{name}"' in spanish, "the switch to another language has an effect"
        assert sentence in spanish
        assert '<html lang="es">' in spanish
        for code in ("en", "tlh", "es'"):
            assert '<html lang="en">' in visitor.get(f"/sms/{name}?language={code}").text
    page = visitor.get("/sms/opt-in?language=es").text
    assert "Hasta entonces no enviaremos nada más." in page, "the prompt"
    assert "sus avisos ya llegan por SMS" in page, "the confirmation text"


def test_consent_on_the_opt_in_page_is_not_ticked(visitor: WebClient, business: None) -> None:
    page = visitor.get("/sms/opt-in").text
    assert '<input type="checkbox" required>' in page
    assert "checked" not in page
    assert "Nothing more is sent until you do." in page
    assert "now come by text" in page, "the confirmation text"


def test_public_pages_are_linked_once_texts_are_registered(visitor: WebClient, business: None) -> None:
    page = visitor.get("/SignIn").text
    assert 'href="/sms/terms"' in page
    assert 'href="/sms/privacy"' in page


def test_portal_without_texts_has_no_links_to_the_public_pages(visitor: WebClient) -> None:
    assert "/sms/terms" not in visitor.get("/SignIn").text


def test_pack_names_what_is_missing_and_where_to_set_it(sysadmin: WebClient, admin: WebClient, business: None) -> None:
    page = sysadmin.get(PACK)
    assert (page.status_code, find_page_problems(page.text)) == (200, [])
    assert 'href="/SysAdmin/AppConfig/Business"' in page.text
    assert "It is missing." in page.text
    assert find_page_problems(sysadmin.get(f"{PACK}/print").text) == []
    values = json.loads(sysadmin.get(f"{PACK}/registration.json").text)
    assert values["campaign"]["privacy_policy_url"] == f"{PUBLIC_URL}/sms/privacy"
    assert admin.get(PACK).status_code == 404


def test_business_is_entered_like_any_setting(sysadmin: WebClient) -> None:
    address = "/SysAdmin/AppConfig/Business"
    assert find_page_problems(sysadmin.get(address).text) == []
    refused = sysadmin.post(address, LegalName="Harbor Board", Website="http://example.org")
    assert refused.status_code == 422
    assert "must begin with https://" in refused.text
    assert "Harbor Board" in refused.text
    assert sysadmin.post(address, LegalName="Harbor Board", Type="GOVERNMENT").status_code == 303
    assert "Harbor Board" in sysadmin.get(PACK).text
