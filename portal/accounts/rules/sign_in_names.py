"""What somebody means who types an email or an account number to sign in."""

import unicodedata

from portal.core.rules.case_folding import fold_case


def normalise_sign_in_name(name: str) -> str:
    """Equal for all ways of typing the same name: in any case, full-width or not, with characters that nobody sees."""
    return fold_case(unicodedata.normalize("NFKC", fold_case(name)))
