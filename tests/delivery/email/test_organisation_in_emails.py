"""The frame of every email has the logo, name and color of the organisation; its text version has the name only."""

import pytest
from sqlalchemy import select

from portal.content.email_rendering import build_mail
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.organisation import current_organisation
from portal.gateways.rules.email_message import OutgoingEmail
from portal.messages.tables.communications import Delivery
from portal.settings.organisation_changes import remove_logo, save_logo, save_profile
from tests.support import scenario, servers
from tests.support.logo_images import png

pytestmark = pytest.mark.usefixtures("app")
NOW = 1_767_225_600_000


@pytest.fixture(autouse=True)
def one_email(app: object) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(1)
    scenario.add_template()
    scenario.create_expanded_send()


def compose() -> OutgoingEmail:
    mail = build_mail(db.session.scalars(select(Delivery).where(Delivery.channel == "email")).one())
    db.session.rollback()
    return mail


def test_logo_is_an_image_of_the_portal_at_a_size_for_every_program() -> None:
    save_profile("Board of Rivers", "", None, None, NOW)
    save_logo(png(480, 120), None, NOW)
    logo = current_organisation().logo
    assert logo
    address = f"{settings().public_url}/organization/logo/{logo.digest}"
    assert f'<img src="{address}" alt="Board of Rivers" width="224" height="56"' in compose().html


def test_color_is_on_the_button_and_links() -> None:
    assert "background-color: #01588a" in compose().html
    save_profile("", "#5b2c83", None, None, NOW)
    html = compose().html
    assert "background-color: #5b2c83" in html
    assert "#01588a" not in html


def test_text_version_is_the_same_with_a_logo() -> None:
    save_profile("Board of Rivers", "", None, None, NOW)
    before = compose().text
    save_logo(png(), None, NOW)
    save_profile("Board of Rivers", "#5b2c83", None, None, NOW)
    assert compose().text == before
    assert before.endswith("--\nBoard of Rivers")


def test_email_without_a_logo_has_no_image() -> None:
    save_logo(png(), None, NOW)
    remove_logo(None, NOW)
    assert "<img" not in compose().html


def test_worker_sends_the_new_look_at_once(simulator: servers.SimulatorClient) -> None:
    save_profile("Board & “Rivers”", "#5b2c83", None, None, NOW)
    save_logo(png(), None, NOW)
    scenario.run_email_worker()
    (mail,) = simulator.received_emails()
    assert 'alt="Board &amp; “Rivers”"' in mail["html"]
    assert "#5b2c83" in mail["html"]
