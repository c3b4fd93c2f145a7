"""Folding for search: plain ASCII takes a shortcut."""

from portal.core.rules.case_folding import fold_for_search


def test_ascii_is_folded_like_other_text() -> None:
    for character in map(chr, range(128)):
        assert fold_for_search(f"A{character}B") == fold_for_search(f"A{character}Bé").removesuffix("e"), character
