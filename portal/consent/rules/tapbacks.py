"""Reactions to one of our texts that arrive as texts themselves, such as Liked “Your renewal is due”.

Phones send them if the other side does not support reactions. They quote the text, so they may contain STOP or START
although nobody said it (docs/consent-rules.md#reactions).
"""

import re
import unicodedata

from portal.core.rules import text_input

_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»″＂", '"'))
_SHORT_TEXT = r"[^\n]{1,30}?"
_REACTION_VERBS = "|".join(
    (
        r"liked|loved|disliked|laughed at|emphasi[sz]ed|questioned|reacted(?: with)? \S+ to",
        rf"removed (?:an? )?{_SHORT_TEXT} from",
        r"(?:no )?le (?:gusto|gusta|encanto|encanta|dio risa|hizo gracia)|(?:le )?ha (?:gustado|encantado)",
        r"me (?:gusta|encanta)|(?:se )?(?:rio|ha reido) de|enfatizo|destaco|cuestiono|pregunto(?: sobre| por)?|exclamo",
        r"reacciono (?:con )?\S+ (?:a|ante)",
        rf"(?:elimino|quito|ha quitado|ha eliminado) (?:un |una |el |la )?{_SHORT_TEXT} (?:de|a)",
        r"(?:n'a pas|a) (?:aime|adore|ri(?: a| de)?|souligne|insiste sur|mis (?:en avant|l'accent sur|en evidence))",
        r"a (?:pose une question sur|questionne|reagi (?:avec |par )?\S+ a)|s'est interrogee? sur",
        rf"a (?:supprime|retire|enleve) (?:un |une |le |la |l')?{_SHORT_TEXT} (?:de|a|sur)",
    )
)
_MEDIA = (
    r"(?:an?|una?|une|el|la|le) (?:image|photo|picture|movie|video|attachment|audio message|voice message|link|location"
    r"|contact|sticker|imagen|foto|pelicula|archivo(?: adjunto)?|mensaje de audio|enlace|ubicacion|film|piece jointe"
    r"|message audio|lien)"
)
_QUOTED_TEXT = r"\s?\"(?:.*\"[.!]?|.*…|[^\"]*)"
_VERB_REACTION = re.compile(rf"(?:{_REACTION_VERBS})(?:{_QUOTED_TEXT}| {_MEDIA})", re.DOTALL)
_EMOJI_REACTION = re.compile(rf"\S{{1,12}} (?:to|a|en|sur)(?:{_QUOTED_TEXT}| {_MEDIA})", re.DOTALL)
"""The form used by Google Messages: 👍 to “Your renewal is due”."""


def is_tapback(body: str) -> bool:
    visible = text_input.clean_lines(body, joiners=False).translate(_QUOTES).replace("’", "'")
    letters = unicodedata.normalize("NFKD", visible).lower()
    text = "".join(letter for letter in letters if unicodedata.category(letter) not in ("Mn", "Sk")).strip()
    starts_with_emoji = bool(text) and not text[0].isascii() and not text[0].isalpha()
    return bool(_VERB_REACTION.fullmatch(text) or (starts_with_emoji and _EMOJI_REACTION.fullmatch(text)))
