import re
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException

from portal.core.translation import LANGUAGES
from portal.web.help import guides
from portal.web.help.guides import GUIDES
from portal.web.help.help_links import HELP_PARTS, help_part
from tests.support.pages.page_walk import visit_every_page
from tests.support.pages.pseudo_locale import use_pseudo_locale
from tests.support.web_client import WebClient

FOR_EVERYBODY = {"/Help/recipient", "/Help/texts"}
FOR_ADMINS = {guide.url for guide in GUIDES if guide.role == "admin"}
FOR_SYSADMINS = {guide.url for guide in GUIDES if guide.role == "sysadmin"}
WITHOUT_HELP = {"errors", "first_sysadmin", "health", "help", "home", "layout", "organisation", "static", "styleguide"}
"""Blueprints without pages, and pages that nobody needs to have explained."""


def listed_guides(person: WebClient) -> set[str]:
    return set(re.findall(r'<dt><a href="([^"]+)"', person.get("/Help").text))


def test_everybody_finds_the_guides_that_their_role_can_use(
    visitor: WebClient, number_owner: WebClient, admin: WebClient, sysadmin: WebClient, sms_enabled: None
) -> None:
    assert listed_guides(visitor) == listed_guides(number_owner) == FOR_EVERYBODY
    assert listed_guides(admin) == FOR_EVERYBODY | FOR_ADMINS
    assert listed_guides(sysadmin) == FOR_EVERYBODY | FOR_ADMINS | FOR_SYSADMINS
    for url in FOR_ADMINS | FOR_SYSADMINS:
        assert (visitor.get(url).status_code, number_owner.get(url).status_code) == (303, 404)
    assert {admin.get(url).status_code for url in FOR_EVERYBODY | FOR_ADMINS} == {200}
    assert {admin.get(url).status_code for url in FOR_SYSADMINS} == {404}


def test_guide_about_texts_is_hidden_while_they_are_off(number_owner: WebClient, admin: WebClient) -> None:
    assert listed_guides(number_owner) == {"/Help/recipient"}
    assert number_owner.get("/Help/texts").status_code == 404
    assert 'href="/Help/texts' not in number_owner.get("/MyAccount/PhoneNumbers").text
    assert admin.get("/Help/texts").status_code == 200


def test_every_page_has_a_link_to_its_part(
    web_app: Flask, sysadmin: WebClient, sms_enabled: None, sent_communications: dict[str, int], recipient_file: int
) -> None:
    known = {part.partition(".")[0] for part in HELP_PARTS} | WITHOUT_HELP
    rules = list(web_app.url_map.iter_rules())
    pages = {rule.endpoint for rule in rules if "GET" in (rule.methods or ())}
    assert {page for page in pages if page.partition(".")[0] not in known} == set()
    assert [part for part in HELP_PARTS if "." in part and part not in {rule.endpoint for rule in rules}] == []
    without = [
        address
        for address, page in visit_every_page(sysadmin, web_app, send_forms=False)
        if 'id="main" class="page"' in page and "Help with this page" not in page and "Page not found" not in page
    ]
    assert {address for address in without if not address.startswith("/Help")} == {"/c/x", "/styleguide"}


def test_link_leads_to_the_part_about_the_page(admin: WebClient, visitor: WebClient) -> None:
    assert f'<a href="/Help/{help_part("admin_sends.new")}">' in admin.get("/Admin/Sends/new").text
    assert '<a href="/Help/recipient#sign-in">' in visitor.get("/SignIn").text
    assert 'id="sign-in"' in visitor.get("/Help/recipient").text


def test_pictures_of_a_guide_are_kept_by_browsers_until_they_change(admin: WebClient) -> None:
    (source,) = re.findall(r'src="(/Help/pictures/new-send\.webp\?v=\w+)"', admin.get("/Help/sending").text)
    picture = admin.get(source)
    assert (picture.status_code, picture.mimetype) == (200, "image/webp")
    assert "immutable" in picture.headers["Cache-Control"]
    assert "immutable" not in admin.get("/Help/pictures/new-send.webp?v=0").headers["Cache-Control"]
    assert admin.get("/Help/pictures/..%2Fnew-send.webp").status_code == 404


def test_guide_without_a_translation_says_so(
    web_app: Flask, visitor: WebClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_pseudo_locale(web_app)
    assert 'data-tone="new"' in visitor.get("/Help/recipient").text
    (tmp_path / "el").mkdir()
    (tmp_path / "recipient.md").write_text("# Help\n\n## Sign in\n", "utf-8")
    translation = f"# Βοήθεια\n\n## Σύνδεση\n\n[Κείμενα](../{'texts'}.md#a)\n"
    (tmp_path / "el" / "recipient.md").write_text(translation, "utf-8")
    monkeypatch.setattr(guides, "FOLDER", tmp_path)
    guides.render_guide.cache_clear()
    page = visitor.get("/Help/recipient").text
    guides.render_guide.cache_clear()
    assert 'data-tone="new"' not in page
    assert '<h2 id="sign-in">Σύνδεση</h2>' in page
    assert 'href="/Help/texts#a"' in page


def test_guide_links_only_to_what_its_readers_can_open(
    number_owner: WebClient, admin: WebClient, sysadmin: WebClient, sms_enabled: None
) -> None:
    readers, closed = {"": number_owner, "admin": admin, "sysadmin": sysadmin}, []
    for guide in GUIDES:
        html = "".join(guides.render_guide(guide.name, language).html for language in LANGUAGES)
        addresses = set(re.findall(r'href="(/[^"#?]*)', html))
        closed += [(guide.name, to) for to in addresses if readers[guide.role].get(to).status_code != 200]
    assert closed == []


def test_links_to_pages_lead_to_one(web_app: Flask) -> None:
    rendered = "".join(guides.render_guide(guide.name, "en").html for guide in GUIDES)
    addresses = set(re.findall(r'(?:href|src)="(/[^"#?]*)', rendered))
    router, missing = web_app.url_map.bind("portal.example.org"), []
    for address in addresses:
        try:
            router.match(address)
        except HTTPException:
            missing.append(address)
    assert len(addresses) > 30
    assert missing == []
