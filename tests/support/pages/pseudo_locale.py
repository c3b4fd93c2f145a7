"""A language for tests: English with marks on every letter, a third longer, in ⟦brackets⟧.

Words that stay plain on a page did not go through gettext. Dates are Greek, so that they have no Latin letters either.
"""

import re
from gettext import NullTranslations
from html.parser import HTMLParser

from flask import Flask, g

from portal.core.translation import Language, use_language

_PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MARKED = "áƀćđéƒǵħíĵķĺḿńóṕɋŕśŧúṽŵẋýźÁƁĆĐÉƑǴĦÍĴĶĹḾŃÓṔɊŔŚŦÚṼŴẊÝŹ"
_MARKS = str.maketrans(_PLAIN, _MARKED)
_KEPT = re.compile(r"(<[^>]*>|%\(\w+\)[sd]|%%|&#?\w+;)")
_THIRD_LETTER = re.compile(r"((?:\w\W*){2})(\w)")

_NEVER_TRANSLATED = {"script", "style", "code", "kbd", "textarea", "datalist", "template"}
_STORED_TEXT = {"source", "rendered-body", "verbatim", "phone", "mail-preview"}
"""Classes of elements that show what people wrote: templates, messages, wording."""
_VOID = {"meta", "link", "input", "br", "hr", "img"}
_ATTRIBUTES = ("title", "aria-label", "placeholder", "alt", "data-label")
_ALLOWED = re.compile(
    r"https?://\S+"
    r"|[\w.+•-]+@[\w.-]+"
    r"|\b[a-z][\w-]*(?:\.[\w-]+)+\b"  # hosts, settings of a template
    r"|\bportal (?:worker|scheduler)(?: \w+)?\b"  # commands
    r"|\{\{.*?\}\}|\{%.*?%\}"  # merge fields
    r"|\b[A-Z]\w+/[A-Z]\w+(?:/\w+)?\b|\b(?:New_York|EST|EDT|UTC)\b|\b[\d-]{10}T[\d:.]+Z"  # time zones, times in UTC
    r"|\b[A-Z]{1,2}-\d+\b"  # accounts
    r"|\bEnglish\b|\bEspañol\b"  # languages, each by its own name
    r"|\b(?:notice|exam)(?=⟧)"  # the keys of templates, in a message
    r"|\b(?:AC|SK|SM|MG|PN)[0-9a-fx…]*\b|••••\w*"  # Twilio's identifiers, and masked secrets
    r"|\bLegalName(?:, \w+)+"  # the keys of a business
    r"|\bPORTAL_\w+|\b(?:[A-Z][a-z]+){2,}\b|\b(?:true|false|Url|Secret|Business)\b"  # settings, their keys, values
    r"|\b[a-z]+_[a-z]\w*(?:, ?[a-z_]+)*"  # keys, columns of files
    r"|\b(?:Twilio|Redis|RQ|SQLite|PostgreSQL|Valkey|Markdown|Liquid|SMTP|HTTPS?|JSON|CSV|GSM-7|UCS-2|STOP|START|HELP)\b"
)
_LATIN = re.compile(r"[A-Za-z]")


class PseudoTranslations(NullTranslations):
    def gettext(self, message: str) -> str:
        return pseudo(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return pseudo(msgid1 if n == 1 else msgid2)


PSEUDO = Language("el", PseudoTranslations())


def pseudo(message: str) -> str:
    """“⟦Śśávé ṽṽérśśíóóń %(num)s⟧”. Placeholders, tags and entities stay as they are."""
    parts = _KEPT.split(message)
    return f"⟦{''.join(part if _KEPT.fullmatch(part) else _lengthen(part) for part in parts)}⟧"


def _lengthen(words: str) -> str:
    return _THIRD_LETTER.sub(r"\1\2\2", words).translate(_MARKS)


def use_pseudo_locale(app: Flask) -> None:
    """Show pages of the app in the pseudo-locale."""

    def use() -> None:
        if "language" in g:
            g.language.enter_context(use_language(PSEUDO))

    app.before_request_funcs[None].insert(1, use)  # after the portal has chosen


def untranslated(words: str) -> str:
    """What is left of the words without what may be Latin: brands, codes, addresses; "" if all of it may be."""
    rest = " ".join(words.split())
    return rest if _LATIN.search(_ALLOWED.sub("", rest)) else ""


class VisibleWords(HTMLParser):
    """Everything that a person reads or hears on a page, except stored text and source."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden_depth = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        is_hidden = tag in _NEVER_TRANSLATED or bool(_STORED_TEXT & set(attributes.get("class", "").split()))
        if tag not in _VOID and (self._hidden_depth or is_hidden):
            self._hidden_depth += 1
        if not self._hidden_depth and not is_hidden:
            self.words += [attributes[name] for name in _ATTRIBUTES if name in attributes]
            if attributes.get("type") in ("submit", "button"):
                self.words.append(attributes.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if self._hidden_depth and tag not in _VOID:
            self._hidden_depth -= 1

    def handle_data(self, data: str) -> None:
        if not self._hidden_depth:
            self.words.append(data)


def untranslated_words(page: str) -> list[str]:
    found = (untranslated(words) for words in VisibleWords(page).words)
    return list(dict.fromkeys(words for words in found if words))
