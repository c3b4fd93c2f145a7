"""The registration pack: every field of a brand, a campaign and a toll-free verification, filled in and checked."""

from portal.consent.rules.keywords import HELP_KEYWORDS, START_KEYWORDS, STOP_KEYWORDS
from portal.content import content_blocks, message_templates
from portal.content.rules.content_block_checks import HELP_REPLY, PUBLIC_PAGES, STOP_REPLY, WELCOME_TEXT
from portal.content.rules.wording_points import WordingIssue
from portal.content.tables.templates import current_template_versions
from portal.content.text_content import organisation_names
from portal.core.context import settings
from portal.core.organisation import current_organisation
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.messages.rules.named_texts import says_organisation
from portal.messages.tables import delivery_totals
from portal.operations import twilio_snapshot
from portal.registration.rules.pack_fields import (
    PackSection,
    RegistrationPack,
    Rule,
    Source,
    Value,
    checked,
    keyword_list,
    message_volume,
)
from portal.registration.rules.pack_rules import BRAND, CAMPAIGN, TOLL_FREE
from portal.settings.app_settings import configuration
from portal.settings.rules.business_setting import BUSINESS

_MAX_SAMPLES = 4
"""Carriers take five. The last is the confirmation of an opt-in."""
_MONTH_HOURS = 30 * 24
_BUSINESS_KEYS = {
    "LegalName": ("company_name", "BusinessName"),
    "Type": ("business_type", "BusinessType"),
    "Industry": ("business_industry",),
    "RegistrationNumber": ("business_registration_number", "BusinessRegistrationNumber"),
    "RegistrationAuthority": ("business_registration_identifier", "BusinessRegistrationAuthority"),
    "RegistrationCountry": ("business_registration_country", "BusinessRegistrationCountry"),
    "Website": ("website_url", "BusinessWebsite"),
    "Street": ("street", "BusinessStreetAddress"),
    "City": ("city", "BusinessCity"),
    "Region": ("region", "BusinessStateProvinceRegion"),
    "PostalCode": ("postal_code", "BusinessPostalCode"),
    "Country": ("iso_country", "BusinessCountry"),
    "ContactFirstName": ("first_name", "BusinessContactFirstName"),
    "ContactLastName": ("last_name", "BusinessContactLastName"),
    "ContactTitle": ("business_title",),
    "ContactEmail": ("email", "BusinessContactEmail", "NotificationEmail"),
    "ContactPhone": ("phone_number", "BusinessContactPhone"),
    "SupportEmail": ("support_email",),
    "Purpose": ("description", "UseCaseSummary"),
}
"""The carriers' names for each key of the setting."""


def build_pack(now_ms: int) -> RegistrationPack:
    values = _business_values() | _wording_values() | _page_values() | _volume_values(now_ms)
    return RegistrationPack(
        (
            _section("brand", _(N_("Brand (10DLC)")), BRAND, values),
            _section("campaign", _(N_("Campaign (10DLC)")), CAMPAIGN, values),
            _section("toll_free", _(N_("Toll-free verification")), TOLL_FREE, values),
        )
    )


def wording_gaps() -> dict[str, tuple[WordingIssue, ...]]:
    """By public page, the sentences that reviewers will miss."""
    gaps = {key: content_blocks.current_wording_issues(key) for key in PUBLIC_PAGES}
    return {key: issues for key, issues in gaps.items() if issues}


def _section(key: str, title: str, rules: tuple[Rule, ...], values: dict[str, Value]) -> PackSection:
    address = twilio_snapshot.check_our_public_url()
    problem = "" if address.verdict == "ok" else address.reason
    fields = (checked(rule, values[rule.key], _expected_name(rule, values[rule.key]), problem) for rule in rules)
    return PackSection(key, title, tuple(fields))


def _expected_name(rule: Rule, value: Value) -> str:
    """Sample texts may say the name in texts instead."""
    text_name, name = organisation_names()
    is_short_name_said = rule.source is Source.TEMPLATES and says_organisation(str(value), (text_name,))
    return text_name if is_short_name_said else name


def _business_values() -> dict[str, Value]:
    stored = configuration(BUSINESS).json_object(BUSINESS)
    name = current_organisation().name
    values: dict[str, Value] = {key: str(stored.get(own, "")) for own, keys in _BUSINESS_KEYS.items() for key in keys}
    return values | {
        "brand_name": name,
        "DoingBusinessAs": name,
        "business_regions_of_operation": "USA_AND_CANADA",
        "us_app_to_person_usecase": "ACCOUNT_NOTIFICATION",
        "UseCaseCategories": ("ACCOUNT_NOTIFICATIONS",),
        "has_embedded_links": True,
        "has_embedded_phone": False,
        "subscriber_opt_in": True,
        "age_gated": False,
        "AgeGatedContent": False,
        "direct_lending": False,
        "OptInType": "WEB_FORM",
    }


def _wording_values() -> dict[str, Value]:
    blocks = WELCOME_TEXT, STOP_REPLY, HELP_REPLY
    welcome, stop, help_reply = (content_blocks.render_block(key).text for key in blocks)
    samples = (*sample_texts()[:_MAX_SAMPLES], welcome)
    keywords = keyword_list(START_KEYWORDS)
    return {
        "message_samples": samples,
        "ProductionMessageSample": samples[0],
        "opt_in_keywords": keywords,
        "OptInKeywords": keywords,
        "opt_in_message": welcome,
        "OptInConfirmationMessage": welcome,
        "opt_out_keywords": keyword_list(STOP_KEYWORDS),
        "opt_out_message": stop,
        "help_keywords": keyword_list(HELP_KEYWORDS),
        "help_message": help_reply,
        "HelpMessageSample": help_reply,
    }


def sample_texts() -> list[str]:
    """A text of each template in use, with example values."""
    samples = []
    for version in current_template_versions():
        if version.sms_enabled and not version.template.archived_at_ms:
            preview = message_templates.preview_template(message_templates.draft_of(version))
            if preview.sms is not None and not preview.errors:
                samples.append(preview.sms.text)
    return samples


def _page_values() -> dict[str, Value]:
    base, name = f"{settings().public_url}/sms", current_organisation().name
    flow = (
        f"People request texts themselves. They read {base}/opt-in, sign in to the portal of {name}, and add a phone "
        "number. The box for consent is empty until they tick it. The portal then sends one invitation, and the person "
        "must reply START from that phone; nothing more is sent until then. Consent is not a condition of any service. "
        "Message frequency varies. Message and data rates may apply. Reply HELP for help, STOP to end. "
        f"Terms: {base}/terms. Privacy policy: {base}/privacy."
    )
    return {
        "message_flow": flow,
        "AdditionalInformation": flow,
        "OptInImageUrls": (f"{base}/opt-in",),
        "privacy_policy_url": f"{base}/privacy",
        "PrivacyPolicyUrl": f"{base}/privacy",
        "terms_and_conditions_url": f"{base}/terms",
        "TermsAndConditionsUrl": f"{base}/terms",
    }


def _volume_values(now_ms: int) -> dict[str, Value]:
    since_hour = now_ms // delivery_totals.HOUR_MS - _MONTH_HOURS
    counts = delivery_totals.totals(("channel",), since_hour=since_hour, channel="sms")
    return {"MessageVolume": message_volume(sum(total.count for total in counts.values()))}
