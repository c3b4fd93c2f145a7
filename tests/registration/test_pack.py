"""The registration pack: complete for a portal that is set up, and every missing field is named."""

import json
from typing import Any

import pytest
from flask import Flask

from portal.content import content_blocks, message_templates
from portal.content.message_templates import TemplateDraft
from portal.content.rules.content_block_checks import BLOCKS, PRIVACY, TERMS, WELCOME_TEXT
from portal.core.rules.setting_error import SettingError
from portal.registration import pack
from portal.registration.rules.pack_fields import message_volume
from portal.settings import setting_changes
from portal.settings.organisation_changes import save_profile
from portal.settings.rules.business_setting import BUSINESS_SCHEMA
from tests.support import scenario

NOW_MS = 1_767_225_600_000
COMPLETE = {
    "LegalName": "Harbor Board of Nursing",
    "Type": "GOVERNMENT",
    "Industry": "GOVERNMENT",
    "RegistrationNumber": "12-3456789",
    "RegistrationAuthority": "EIN",
    "RegistrationCountry": "US",
    "Street": "1 Main Street",
    "City": "Salem",
    "Region": "OR",
    "PostalCode": "97301",
    "Country": "US",
    "Website": "https://www.example.org",
    "ContactFirstName": "Olive",
    "ContactLastName": "Lund",
    "ContactTitle": "Director",
    "ContactEmail": "olive@example.org",
    "ContactPhone": "+15035550100",
    "SupportEmail": "help@example.org",
    "Purpose": "License holders get notices about renewals and decisions that concern their license.",
}


@pytest.fixture(autouse=True)
def portal_with_a_template(app: Flask) -> None:
    scenario.configure_gateway()
    draft = TemplateDraft("due", "Due", "Your renewal is due on {{ data.day }}", "Renew it.", sms_enabled=True)
    message_templates.create_template(draft, None, NOW_MS)


def set_business(value: dict[str, Any]) -> None:
    setting_changes.set_setting("Business", json.dumps(value), None, NOW_MS)


def missing_keys() -> set[str]:
    return set(json.loads(pack.build_pack(NOW_MS).as_json())["missing"])


def test_nothing_is_missing_once_the_business_is_entered() -> None:
    set_business(COMPLETE)
    assert pack.build_pack(NOW_MS).missing == []
    assert pack.wording_gaps() == {}
    values = json.loads(pack.build_pack(NOW_MS).as_json())
    assert values["toll_free"]["BusinessRegistrationNumber"] == "12-3456789"
    first, *_others, last = values["campaign"]["message_samples"]
    assert first.startswith("Notification portal: Your renewal is due on [day] http")
    assert "STOP" in last


def test_samples_may_say_the_name_in_texts() -> None:
    set_business(COMPLETE)
    save_profile("North Carolina Board of Nursing", "", None, None, NOW_MS, "NC Nursing")
    assert pack.build_pack(NOW_MS).missing == []
    assert pack.sample_texts()[0].startswith("NC Nursing: Your renewal")


def test_each_key_of_the_business_is_named_when_it_is_removed() -> None:
    named = {}
    for key in set(COMPLETE) - {"SupportEmail"}:
        set_business({other: value for other, value in COMPLETE.items() if other != key})
        named[key] = missing_keys()
    labels = {field.name: field.label for field in BUSINESS_SCHEMA.fields}
    assert all(named.values()), {labels[key] for key, missing in named.items() if not missing}


def test_portal_without_a_support_contact_has_incomplete_pages() -> None:
    set_business({key: value for key, value in COMPLETE.items() if key != "SupportEmail"})
    points = {key: {issue.point for issue in issues} for key, issues in pack.wording_gaps().items()}
    assert points == {TERMS: {"support contact"}, PRIVACY: {"support contact", "complaints"}}
    assert missing_keys() == {"brand.support_email"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ContactEmail": "olive@gmail.com"}, "brand.email"),
        ({"Purpose": "Notices."}, "campaign.description"),
    ],
)
def test_value_that_carriers_reject_is_named(changes: dict[str, str], field: str) -> None:
    set_business(COMPLETE | changes)
    assert field in missing_keys()


def test_confirmation_that_lacks_a_sentence_is_named() -> None:
    set_business(COMPLETE)
    shortened = BLOCKS[WELCOME_TEXT].default.replace("Msg&data rates may apply. ", "")
    content_blocks.save_block(WELCOME_TEXT, shortened, None, NOW_MS)
    assert missing_keys() == {"campaign.opt_in_message", "toll_free.OptInConfirmationMessage"}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"RegistrationNumber": "123"}, "RegistrationNumber"),
        ({"PostalCode": "973"}, "PostalCode"),
        ({"Country": "Oregon"}, "Country"),
        ({"Website": "http://example.org"}, "Website"),
        ({"ContactPhone": "503 555 0100"}, "ContactPhone"),
        ({"SupportEmail": "nobody"}, "SupportEmail"),
        ({"Type": "CLUB"}, "Type"),
    ],
)
def test_invalid_key_of_the_business_is_refused(changes: dict[str, str], key: str) -> None:
    with pytest.raises(SettingError) as refused:
        set_business(COMPLETE | changes)
    assert set(refused.value.errors_by_key) == {key}


@pytest.mark.parametrize(
    ("texts", "volume"), [(0, "1,000"), (1_001, "10,000"), (250_000, "250,000"), (6_000_000, "10,000,000+")]
)
def test_volume_is_the_smallest_that_suffices(texts: int, volume: str) -> None:
    assert message_volume(texts) == volume
