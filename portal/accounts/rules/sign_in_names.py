"""Normalise the email or account number that people type to sign in."""

import unicodedata

from portal.core.rules.case_folding import fold_case


def normalise_sign_in_name(name: str) -> str:
    """The same result for every way to type a name: any case, full width or not, with invisible characters."""
    return fold_case(unicodedata.normalize("NFKC", fold_case(name)))
