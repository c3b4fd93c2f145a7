"""Opt-outs in people's own words (docs/consent-rules.md#revocation-in-own-words).

Each clause becomes a string of letters, one for the role of each word (`opt_out_vocabulary`), and is compared with the
patterns below. A negation, or a clause about anything but the texts, is not an opt-out: a person reads it. The same
holds for a question, unless it asks how to end the texts.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from portal.consent.rules.opt_out_context import ENDS_ANYTHING, ENDS_MESSAGES, HOW_TO_QUESTION, reverses_meaning
from portal.consent.rules.opt_out_phrases import PHRASE_REWRITES
from portal.consent.rules.opt_out_vocabulary import OTHER_ROLE, WORD_ROLES
from portal.core.rules import text_input

_MAX_LENGTH = 200
"""Characters. A longer text says something else as well, so a person reads it."""
_MIN_MISSPELLED_LENGTH = 6
_MAX_SIGNATURE_WORDS = 3

_CLAUSE = re.compile(
    r"(?<=\?)\s+|[.,;:!¡¿…]+(?:\s+|$)|\n+|\s[-–—]+\s*|\s(?:and|but|so|y|et|mais|pero)\s"
    r"|\s(?=or (?:else|i|i'll|ill|we)\b)"
    r"|(?:(?<=\bstop)|(?<=\bstop please)|(?<=\bplease stop)|(?<=\bstop it)"
    r"|(?<=\bremove me)|(?<=\bunsubscribe me)|(?<=\bopt me out))"
    r" (?=(?:my \w+ (?:is|are)|i|i'm|im|i've|ive|it's|its|you're|ya|yo|je|j'\w+|c'est|no)\b)"
)
_SENTENCE = re.compile(r"[.!]+(?:\s+|$)|\n+")
_PHONE_NUMBER = re.compile(r"\+?\(?\d(?:[\s().-]{0,2}\d){9,13}\b")
_APOSTROPHES = re.compile(r"['’‘´`ʼ]")
_ELISION = re.compile(r"\b([cdjlmnt]|qu)'(?=[a-z]{2})")
_LEETSPEAK = str.maketrans("013457", "oieast")
"""Digits that people write in place of letters."""
_NON_WORD = re.compile(r"[^a-z0-9]+")
_SPACED_LETTERS = re.compile(r"\b[a-z](?: [a-z]){2,}\b")
_PRONOUN = re.compile(r"(?P<verb>[a-z]{4,}?)(?P<pronoun>me|nos|l[aeo]s?)")
_DOUBLED = re.compile(r"([a-z])\1+")
_REQUEST = re.compile(
    r"\b(?:(?:can|could|would|will) (?:you|u|someone|somebody|anyone)|how about you"
    r"|(?:can|could|may) (?:i|we) (?:be|get)"
    r"|pueden?|puedes|podrian?|pouvez|pourriez|peux tu"
    r"|please|pls|plz|por favor)\b|\b(?:ok|okay|alright)$"
)
_INSTRUCTION = re.compile(
    r"\b(?:reply|text|txt|send|responda|envie|repondez|envoyez)(?: with)?[ \"“«]+(?:stop|end|cancel|alto|arret)\b"
)
"""What automatic texts, including ours, say: “Reply STOP to end”."""

_NEGATED_OPT_OUT = re.compile(r"[gn][gwm]*[surS].*")
"""“Don't stop”, “I don't want to unsubscribe”."""
_INNER_AUXILIARY = re.compile(r"(?<=.)B")
_TRAILING = "(?:[fb][^N]*)?"
_OPT_OUT = re.compile(
    "(?:[su]+(?=g))?(?:"
    + "|".join(
        (
            rf"[wpmt]*[sSu]+(?:[suktcdlmpivewh]*|[suktcdlmpivewh]*[tkdm]{_TRAILING}|b.*)",
            r"w?um?f[^N]*",
            r"[wm]*r(?:[ptoi]*m[mptolf]*|[mptoi]+f?l[mptl]*|f[tl]+)?",
            r"w*m+rf?[lt]*",
            rf"g[gm]*w[gvmepd]*[tpeikcl][tpmekvicl]*{_TRAILING}",
            rf"wg+[vd]?e?t+{_TRAILING}",
            rf"g+p*t[tpmle]*|g+e[pm]*|g+ex?p*t[tpm]*{_TRAILING}",
            rf"g[gem]*(?:d[gmtplehkd]*|[kct][gmtplehkd]*{_TRAILING})",
            r"[pm]*g[gm]*jg*[vktdmp]*",
            r"[gz][gvmp]*a[ktvpmdgcl]*",
            rf"[pmt]*y[tpmkisu]*{_TRAILING}",
        )
    )
    + ")"
)
"""A whole clause: stop (texting me), take me off (the list), I don't want (texts), no more (texts), don't text.

The lines in order: to stop, to leave, to remove, not to want, no more, not to contact, no interest, no consent.
"""
_WEAK_OPT_OUT = re.compile(r"[wpmi]*s+[pimwse]*|r|[pm]*y[pi]*|g+p*t*|g+d[p]*|g+e[pm]*|gwi|g+mt|[pm]*gj")
"""An opt-out on its own, which may mean something else next to other words: “cancel it”, “no messages”."""
_UNAMBIGUOUS = re.compile(
    r"(?:[^q].*)?(?:sp*[kt].*|sp*d[mp]*t.*|sd[mp]*|S|es"
    r"|r[mptoi]+f?[tpm]*l.*|r[moi]+f[tpm]+|rm|rm+f[^N]*[tkl].*|z[mp]*a[^x]*|wu|gm+[gem]*(?:[kc]|d[gem]*[th]).*)"
    r"|(?:q[^x]*)?kms[pi]*|g[ge]*km.*"
)
"""So clear that it counts whatever else the text says, even in the same clause."""
_OPT_OUT_IN_SHORT_CLAUSE = re.compile(
    r"^(?!v)(?:[wpmtje]*[suS]|[^gv]*y"
    r"|.*(?:r[pt]*m|r[mptoi]+f?l|g[gm]*w[gvmepd]*[tp]|g+e|g[gem]*[kct]|g[gem]*dm?t|g[gm]*j))"
)
"""An opt-out only in a clause that mentions nothing else."""
_BARE_STOP = re.compile(r"(?:please )?(?:stop|alto|paren|arret|arretez)(?: please| it| now)?")
_NEUTRAL_CLAUSE = (
    r"no|non|or .*|(?:way )?(?:too|so) many .*|(?!.*\b(?:lol|haha|lmao|jk|laugh)\b)"
    r"(?:im?|ive|id|he|she|this|these|its|you(?:re?)?|already|never|not|my|nolonger"
    r"|este|esta|esto|no es|ya|yo|no soy|soy|je?|ce"
    r"|sent from|get outlook|why .*(?:texting|messaging|contacting|sending|getting|receiving)|(?:use |by )?e ?mail)\b.*"
)
"""A clause that does not weaken an opt-out next to it: about the person or the texts, or added by an email client."""


@dataclass(frozen=True)
class _Clause:
    text: str
    roles: str
    is_question: bool

    @property
    def is_opt_out(self) -> bool:
        """Unless another clause says otherwise."""
        if self.is_question:
            return False
        is_short_opt_out = not set(self.roles) & set("xqfbN") and _OPT_OUT_IN_SHORT_CLAUSE.search(self.roles)
        return bool(is_short_opt_out or _OPT_OUT.fullmatch(self.roles))

    @property
    def is_unambiguous(self) -> bool:
        if self.is_question:
            return False
        return bool(_UNAMBIGUOUS.fullmatch(self.roles)) or (self.is_opt_out and not _WEAK_OPT_OUT.fullmatch(self.roles))


def is_opt_out_request(body: str) -> bool:
    if len(body) > _MAX_LENGTH:
        return False
    text = normalise_reply(body).strip()
    if _INSTRUCTION.search(text) or reverses_meaning(text):
        return False
    unsigned, _newline, signature = text.rpartition("\n")
    is_signed = bool(unsigned) and len(signature.split()) <= _MAX_SIGNATURE_WORDS
    return _has_opt_out_clause(text) or (is_signed and _has_opt_out_clause(unsigned))


def normalise_reply(text: str) -> str:
    """Lower the case, and drop accents and invisible characters."""
    visible = text_input.clean_lines(text, joiners=False)
    visible = visible.replace("🛑", " stop ").replace("*", "").replace("#", " number ")
    folded = unicodedata.normalize("NFKD", _PHONE_NUMBER.sub("number", visible)).casefold()
    letters = (letter for letter in folded if not unicodedata.combining(letter))
    return _APOSTROPHES.sub("'", "".join(letters))


def _has_opt_out_clause(text: str) -> bool:
    clauses = [clause for part in _CLAUSE.split(text) if (clause := _parse_clause(part)).roles]
    if any(clause.is_unambiguous for clause in clauses):
        return True
    if "?" not in text and any(_BARE_STOP.fullmatch(sentence.strip()) for sentence in _SENTENCE.split(text)):
        return True
    others = [clause for clause in clauses if not clause.is_opt_out]
    return len(others) < len(clauses) and all(_is_neutral_clause(clause) for clause in others)


def _is_neutral_clause(clause: _Clause) -> bool:
    return bool(_NEUTRAL_CLAUSES.fullmatch(clause.text)) and (not clause.is_question or clause.text.startswith("why "))


def _parse_clause(part: str) -> _Clause:
    words = _ELISION.sub(r"\1e ", part.replace("'ll", " will")).replace("'", "")
    words = _SPACED_LETTERS.sub(lambda match: match[0].replace(" ", ""), _NON_WORD.sub(" ", words).strip())
    is_question = "?" in part and not _REQUEST.search(words)
    words = _collapse_doubled_letters(words)
    how_to = _HOW_TO_QUESTION.match(words)
    words = words[how_to.end() :] if how_to else words
    for phrase, replacement in _PHRASES:
        words = phrase.sub(replacement, words)
    roles = _INNER_AUXILIARY.sub("", "".join(_role_of_word(word) for word in words.split())).replace("B", "q")
    if how_to:
        is_question = not ENDS_MESSAGES.fullmatch(roles) or bool(ENDS_ANYTHING.fullmatch(words))
    return _Clause(" ".join(words.split()), _NEGATED_OPT_OUT.sub(OTHER_ROLE, roles), is_question)


def _role_of_word(word: str) -> str:
    role = _ROLES.get(word, _ROLES.get(f"{word}g") if word.endswith("in") else None)
    if role is None and not word.isalpha():
        role = _ROLES.get(_collapse_doubled_letters(word.translate(_LEETSPEAK)))
    return _role_with_pronoun(word) or _role_of_misspelling(word) if role is None else role


def _role_with_pronoun(word: str) -> str:
    """“Deténganlos”, “bórrenme”: Spanish attaches the pronoun to the verb, as do people in a hurry."""
    match = _PRONOUN.fullmatch(word)
    role = _ROLES.get(match["verb"], "") if match else ""
    return {"s": "s", "r": "rm" if match and match["pronoun"] == "me" else "r"}.get(role, "")


def _role_of_misspelling(word: str) -> str:
    """The role of a word in which one letter after the first is wrong, missing, extra or swapped with the next."""
    if len(word) < _MIN_MISSPELLED_LENGTH or word[:-1] in _ROLES:
        return OTHER_ROLE
    forms = [word, *(word[:index] + "?" + word[index + 1 :] for index in range(1, len(word)))]
    return next((_ROLE_BY_MISSPELLING[form] for form in forms if form in _ROLE_BY_MISSPELLING), OTHER_ROLE)


def _misspellings(word: str) -> Iterator[str]:
    """How the word may be misspelled; “?” stands for any letter."""
    for index in range(1, len(word)):
        before, letter, after = word[:index], word[index], word[index + 1 :]
        yield from (before + after, f"{before}?{after}", f"{before}?{letter}{after}")
        yield before + after[:1] + letter + after[1:]


def _collapse_doubled_letters(text: str) -> str:
    """Write doubled letters once: people stretch words, and forget the second letter."""
    return _DOUBLED.sub(r"\1", text)


_HOW_TO_QUESTION = re.compile(_collapse_doubled_letters(HOW_TO_QUESTION))
_NEUTRAL_CLAUSES = re.compile(_collapse_doubled_letters(_NEUTRAL_CLAUSE))
_ROLES = {_collapse_doubled_letters(word): role for role, words in WORD_ROLES.items() for word in words.split()}
_PHRASES = [
    (re.compile(rf"\b(?:{_collapse_doubled_letters(pattern)})(?![a-z])"), _collapse_doubled_letters(replacement))
    for pattern, replacement in PHRASE_REWRITES
]
_ROLE_BY_MISSPELLING = {
    misspelling: role
    for word, role in _ROLES.items()
    if role in ("", *"survkdtmej") and len(word) >= _MIN_MISSPELLED_LENGTH
    for misspelling in _misspellings(word)
}
