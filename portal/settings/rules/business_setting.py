"""The business as it registers with carriers, and the contact that people find on the public pages (ADR 52)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import phonenumbers

from portal.core.rules.email_address import address_problem
from portal.core.rules.phone import is_e164, is_possible_phone
from portal.core.rules.setting_error import key_label
from portal.core.rules.setting_schema import SettingField, SettingSchema
from portal.core.translation import N_
from portal.core.translation import gettext as _

BUSINESS = "Business"
_EIN, _ZIP_CODE = re.compile(r"\d{2}-?\d{7}"), re.compile(r"\d{5}(-\d{4})?")
_TYPES = {
    "GOVERNMENT": N_("Government"),
    "NON_PROFIT": N_("Nonprofit"),
    "PRIVATE_PROFIT": N_("Company, not listed on a stock exchange"),
    "PUBLIC_PROFIT": N_("Company listed on a stock exchange"),
    "SOLE_PROPRIETOR": N_("Sole proprietor"),
}
_AUTHORITIES = {
    "EIN": N_("EIN (United States)"),
    "CBN": N_("CBN (Canada)"),
    "CRN": N_("CRN (United Kingdom)"),
    "VAT": N_("VAT (Europe)"),
    "ABN": N_("ABN (Australia)"),
    "OTHER": N_("Another number"),
}
_INDUSTRIES = {
    "GOVERNMENT": N_("Government"),
    "EDUCATION": N_("Education"),
    "HEALTHCARE": N_("Healthcare"),
    "INSURANCE": N_("Insurance"),
    "LEGAL": N_("Legal"),
    "NOT_FOR_PROFIT": N_("Not for profit"),
    "PROFESSIONAL_SERVICES": N_("Professional services"),
    "REAL_ESTATE": N_("Real estate"),
    "TRANSPORTATION": N_("Transportation"),
}


@dataclass(frozen=True)
class Business:
    """The keys of the setting that the rest of the portal uses."""

    support_email: str = ""
    support_phone: str = ""

    @property
    def support_contact(self) -> str:
        return self.support_email or self.support_phone


def business(value: Mapping[str, Any]) -> Business:
    return Business(str(value.get("SupportEmail", "")), str(value.get("SupportPhone", "")))


def _check_email(key: str, value: Any) -> str:
    problem = address_problem(value)
    return f"{key}: {problem}" if problem else ""


def _check_phone(key: str, value: Any) -> str:
    if is_e164(value) and is_possible_phone(value):
        return ""
    return _("%(key)s must start with a plus and the country code, such as +12025550100.", key=key)


def _check_country(key: str, value: Any) -> str:
    if value in phonenumbers.SUPPORTED_REGIONS:
        return ""
    return _("%(key)s must be the two capital letters of a country, such as US.", key=key)


def _check_website(key: str, value: Any) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    is_secure = parts.scheme == "https" and "." in (parts.hostname or "") and not any(map(str.isspace, value))
    return "" if is_secure else _("%(key)s must begin with https://, such as https://www.example.org.", key=key)


def _check_formats(name: str, value: Mapping[str, Any]) -> dict[str, str]:
    """What depends on the country."""
    errors = {}
    number, postal_code = value.get("RegistrationNumber"), value.get("PostalCode")
    if number and value.get("RegistrationAuthority") == "EIN" and not _EIN.fullmatch(number):
        key = key_label(name, "RegistrationNumber")
        errors["RegistrationNumber"] = _("%(key)s must have nine digits, such as 12-3456789.", key=key)
    if postal_code and value.get("Country") == "US" and not _ZIP_CODE.fullmatch(postal_code):
        key = key_label(name, "PostalCode")
        errors["PostalCode"] = _("%(key)s must have five digits, or nine such as 12345-6789.", key=key)
    return errors


_FIELDS = (
    SettingField("LegalName", N_("Legal name"), N_("Exactly as it is registered, with endings such as Inc.")),
    SettingField("Type", N_("Type of organization"), "", "choice", _TYPES),
    SettingField("Industry", N_("Industry"), "", "choice", _INDUSTRIES),
    SettingField("RegistrationNumber", N_("Registration number"), N_("In the United States the EIN.")),
    SettingField("RegistrationAuthority", N_("Kind of registration number"), "", "choice", _AUTHORITIES),
    SettingField("RegistrationCountry", N_("Country of registration"), N_("Two letters, such as US."),
                 check_value=_check_country),
    SettingField("Street", N_("Street"), N_("Of the registered address, without a post-office box.")),
    SettingField("City", N_("City")),
    SettingField("Region", N_("State or province"), N_("Such as OR.")),
    SettingField("PostalCode", N_("Postal code")),
    SettingField("Country", N_("Country"), N_("Two letters, such as US."), check_value=_check_country),
    SettingField("Website", N_("Website"), N_("Such as https://www.example.org."), check_value=_check_website),
    SettingField("ContactFirstName", N_("First name of the contact"), N_("Somebody who works for you.")),
    SettingField("ContactLastName", N_("Last name of the contact")),
    SettingField("ContactTitle", N_("Position of the contact"), N_("Such as Director.")),
    SettingField("ContactEmail", N_("Email of the contact"), N_("An address in your own domain."),
                 check_value=_check_email),
    SettingField("ContactPhone", N_("Phone number of the contact"), check_value=_check_phone),
    SettingField("SupportEmail", N_("Email for support and complaints"), N_("The public pages show it."),
                 check_value=_check_email),
    SettingField("SupportPhone", N_("Phone number for support"),
                 N_("The public pages show it if there is no email."), check_value=_check_phone),
    SettingField("Purpose", N_("What the texts are for"),
                 N_("40 to 200 characters: who gets them, what about, and why.")),
)  # fmt: skip
BUSINESS_SCHEMA = SettingSchema(_FIELDS, _check_formats)
