"""What somebody means who types an email or an account number to sign in."""

import unicodedata

from portal.domain.folding import same


def normalised(name: str) -> str:
    """Equal for all ways of typing the same name: in any case, full-width or not, with characters that nobody sees."""
    return same(unicodedata.normalize("NFKC", same(name)))
