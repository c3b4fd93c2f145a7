"""Which fields the brand, the campaign and the toll-free verification have (docs/twilio.md#registration)."""

from portal.content.rules.content_block_checks import HELP_REPLY, STOP_REPLY, WELCOME_TEXT
from portal.core.translation import N_
from portal.registration.rules.pack_fields import Rule, Source

_FLOW_POINTS = ("sender", "frequency", "rates", "help", "stop", "start", "terms_link", "privacy_link")
_WELCOME_POINTS = ("sender", "frequency", "rates", "help", "stop")
_BUSINESS, _PORTAL = Source.BUSINESS, Source.PORTAL
_ADDRESS, _BLOCK = Source.PUBLIC_ADDRESS, Source.CONTENT_BLOCK
_PRIVACY_URL, _TERMS_URL = N_("Address of the privacy policy"), N_("Address of the terms")
_KEYWORDS_START, _KEYWORDS_STOP, _KEYWORDS_HELP = N_("Opt-in keywords"), N_("Opt-out keywords"), N_("Help keywords")
_CONFIRMATION, _HELP_TEXT = N_("Reply to opt-in"), N_("Reply to HELP")

BRAND = (
    Rule("company_name", N_("Legal name"), _BUSINESS),
    Rule("brand_name", N_("Organization"), Source.ORGANIZATION),
    Rule("business_type", N_("Type of organization"), _BUSINESS),
    Rule("business_industry", N_("Industry"), _BUSINESS),
    Rule("business_registration_identifier", N_("Kind of registration number"), _BUSINESS),
    Rule("business_registration_number", N_("Registration number"), _BUSINESS),
    Rule("business_registration_country", N_("Country of registration"), _BUSINESS),
    Rule("business_regions_of_operation", N_("Region of operation"), _PORTAL),
    Rule("website_url", N_("Website"), _BUSINESS),
    Rule("street", N_("Street"), _BUSINESS),
    Rule("city", N_("City"), _BUSINESS),
    Rule("region", N_("State or province"), _BUSINESS),
    Rule("postal_code", N_("Postal code"), _BUSINESS),
    Rule("iso_country", N_("Country"), _BUSINESS),
    Rule("first_name", N_("First name of the contact"), _BUSINESS),
    Rule("last_name", N_("Last name of the contact"), _BUSINESS),
    Rule("business_title", N_("Position of the contact"), _BUSINESS),
    Rule("email", N_("Email of the contact"), _BUSINESS, is_own_email=True),
    Rule("phone_number", N_("Phone number of the contact"), _BUSINESS),
    Rule("support_email", N_("Email for support and complaints"), _BUSINESS, is_own_email=True),
)
CAMPAIGN = (
    Rule("us_app_to_person_usecase", N_("Use case"), _PORTAL),
    Rule("description", N_("Description"), _BUSINESS, 40, 4_096),
    Rule("message_flow", N_("How people opt in"), _PORTAL, 40, 2_048, required_points=_FLOW_POINTS),
    Rule("message_samples", N_("Sample texts"), Source.TEMPLATES, 20, 1_024, 2, ("sender", "stop")),
    Rule("has_embedded_links", N_("Texts contain links"), _PORTAL),
    Rule("has_embedded_phone", N_("Texts contain phone numbers"), _PORTAL),
    Rule("subscriber_opt_in", N_("People opt in"), _PORTAL),
    Rule("age_gated", N_("Content for adults only"), _PORTAL),
    Rule("direct_lending", N_("Lending"), _PORTAL),
    Rule("opt_in_keywords", _KEYWORDS_START, _PORTAL),
    Rule("opt_in_message", _CONFIRMATION, _BLOCK, 20, 320, 1, _WELCOME_POINTS, block=WELCOME_TEXT),
    Rule("opt_out_keywords", _KEYWORDS_STOP, _PORTAL),
    Rule("opt_out_message", N_("Reply to STOP"), _BLOCK, 20, 320, 1, ("sender", "ended"), block=STOP_REPLY),
    Rule("help_keywords", _KEYWORDS_HELP, _PORTAL),
    Rule("help_message", _HELP_TEXT, _BLOCK, 20, 320, 1, ("sender", "contact"), block=HELP_REPLY),
    Rule("privacy_policy_url", _PRIVACY_URL, _ADDRESS),
    Rule("terms_and_conditions_url", _TERMS_URL, _ADDRESS),
)
TOLL_FREE = (
    Rule("BusinessName", N_("Legal name"), _BUSINESS),
    Rule("DoingBusinessAs", N_("Organization"), Source.ORGANIZATION),
    Rule("BusinessType", N_("Type of organization"), _BUSINESS),
    Rule("BusinessRegistrationNumber", N_("Registration number"), _BUSINESS),
    Rule("BusinessRegistrationAuthority", N_("Kind of registration number"), _BUSINESS),
    Rule("BusinessRegistrationCountry", N_("Country of registration"), _BUSINESS),
    Rule("BusinessWebsite", N_("Website"), _BUSINESS),
    Rule("BusinessStreetAddress", N_("Street"), _BUSINESS),
    Rule("BusinessCity", N_("City"), _BUSINESS),
    Rule("BusinessStateProvinceRegion", N_("State or province"), _BUSINESS),
    Rule("BusinessPostalCode", N_("Postal code"), _BUSINESS),
    Rule("BusinessCountry", N_("Country"), _BUSINESS),
    Rule("BusinessContactFirstName", N_("First name of the contact"), _BUSINESS),
    Rule("BusinessContactLastName", N_("Last name of the contact"), _BUSINESS),
    Rule("BusinessContactEmail", N_("Email of the contact"), _BUSINESS, is_own_email=True),
    Rule("BusinessContactPhone", N_("Phone number of the contact"), _BUSINESS),
    Rule("NotificationEmail", N_("Email for the decision"), _BUSINESS, is_own_email=True),
    Rule("UseCaseCategories", N_("Use case"), _PORTAL),
    Rule("UseCaseSummary", N_("Description"), _BUSINESS, 40, 500),
    Rule("ProductionMessageSample", N_("Sample text"), Source.TEMPLATES, 20, 1_000, 1, ("sender",)),
    Rule("OptInType", N_("Kind of opt-in"), _PORTAL),
    Rule("OptInImageUrls", N_("Address of the opt-in page"), _ADDRESS),
    Rule("MessageVolume", N_("Texts a month"), _PORTAL),
    Rule("PrivacyPolicyUrl", _PRIVACY_URL, _ADDRESS),
    Rule("TermsAndConditionsUrl", _TERMS_URL, _ADDRESS),
    Rule("OptInKeywords", _KEYWORDS_START, _PORTAL),
    Rule("OptInConfirmationMessage", _CONFIRMATION, _BLOCK, 20, 320, 1, _WELCOME_POINTS, block=WELCOME_TEXT),
    Rule("HelpMessageSample", _HELP_TEXT, _BLOCK, 20, 320, 1, ("sender", "contact"), block=HELP_REPLY),
    Rule("AgeGatedContent", N_("Content for adults only"), _PORTAL),
    Rule("AdditionalInformation", N_("How people opt in"), _PORTAL, 40, 2_048, required_points=_FLOW_POINTS),
)
