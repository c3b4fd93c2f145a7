"""The organisation: defaults, changes that every process sees, and their history."""

import dataclasses

import pytest
from flask import Flask

from portal import create_app
from portal.accounts.passwords import password_rule_problem
from portal.content.content_blocks import render_block
from portal.content.rules.content_block_checks import WELCOME_TEXT
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.organisation import current_organisation, find_logo, last_read_organisation
from portal.settings.organisation_changes import remove_logo, save_logo, save_profile
from portal.settings.tables.setting_values import history_entries
from tests.support.logo_images import png

pytestmark = pytest.mark.usefixtures("app")
NOW = 1_767_225_600_000


def history() -> list[tuple[str, str, str]]:
    return [(entry.name, entry.old_value, entry.new_value) for entry in history_entries(50)]


def test_name_comes_from_the_environment_until_one_is_saved() -> None:
    assert current_organisation().name == settings().organisation
    save_profile("Board of Rivers", "", 0, None, NOW)
    assert current_organisation().name == "Board of Rivers"
    save_profile("", "", NOW, None, NOW + 1)
    assert current_organisation().name == settings().organisation


def test_other_processes_see_a_change_at_once(app: Flask) -> None:
    other = create_app(settings())
    with other.app_context():
        assert current_organisation().accent_color == ""
        db.session.rollback()
    save_profile("Board of Rivers", "#5B2C83", None, None, NOW)
    with other.app_context():
        assert current_organisation().accent_color == "#5b2c83"
        db.session.remove()


def test_texts_use_the_saved_name() -> None:
    save_profile("Board of Rivers", "", None, None, NOW)
    assert render_block(WELCOME_TEXT).text.startswith("Board of Rivers: ")


def test_password_must_not_contain_the_saved_name() -> None:
    save_profile("Riverbank Authority", "", None, None, NOW)
    assert "organization" in (password_rule_problem("riverbankauthority") or "")


def test_every_change_is_in_the_history() -> None:
    save_profile("Board of Rivers", "#5b2c83", None, None, NOW)
    save_profile("Board of Rivers", "", None, None, NOW + 1)
    save_logo(png(), None, NOW + 2)
    remove_logo(None, NOW + 3)
    logo = history()[0][1]
    assert logo.startswith("PNG, 240 × 80 pixels, 29 bytes (")
    assert history() == [
        ("OrganizationLogo", logo, ""),
        ("OrganizationLogo", "", logo),
        ("OrganizationAccentColor", "#5b2c83", ""),
        ("OrganizationAccentColor", "", "#5b2c83"),
        ("OrganizationName", "", "Board of Rivers"),
    ]


def test_refused_values_change_nothing() -> None:
    with pytest.raises(InvalidInput) as refused:
        save_profile("x" * 61, "#ffcc00", None, None, NOW)
    assert set(refused.value.errors) == {"name", "accent_color"}
    assert (current_organisation().saved_name, history()) == ("", [])


def test_change_made_while_editing_is_not_overwritten() -> None:
    save_profile("First", "", 0, None, NOW)
    with pytest.raises(InvalidInput, match="Somebody else"):
        save_profile("Second", "", 0, None, NOW + 1)
    assert current_organisation().name == "First"


def test_name_is_one_line_without_invisible_characters() -> None:
    save_profile("  Board\r\nof\u202e\u200b Rivers\x00 ", "", None, None, NOW)
    assert current_organisation().name == "Board of Rivers"


def test_replaced_logo_stays_for_emails_already_sent() -> None:
    save_logo(png(240, 80), None, NOW)
    first = current_organisation().logo
    save_logo(png(120, 80), None, NOW + 1)
    second = current_organisation().logo
    assert first is not None
    assert second is not None
    assert (first.width, second.width) == (240, 120)
    assert tuple(find_logo(first.digest) or ()) == (png(240, 80), "image/png")


def test_removed_logo_is_gone_with_its_predecessors() -> None:
    save_profile("Board of Rivers", "#5b2c83", None, None, NOW)
    save_logo(png(240, 80), None, NOW)
    first = current_organisation().logo
    save_logo(png(120, 80), None, NOW + 1)
    remove_logo(None, NOW + 2)
    assert first is not None
    assert find_logo(first.digest) is None
    assert dataclasses.replace(current_organisation(), changed_at_ms=0) == dataclasses.replace(
        last_read_organisation(), changed_at_ms=0
    )
    assert (current_organisation().logo, current_organisation().saved_name) == (None, "Board of Rivers")


def test_uploading_the_same_logo_twice_is_one_change() -> None:
    save_logo(png(), None, NOW)
    save_logo(png(), None, NOW + 1)
    assert len(history()) == 1
