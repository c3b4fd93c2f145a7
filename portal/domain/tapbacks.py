"""Reactions to a text of ours that arrive as texts themselves, such as Liked “Your renewal is due”.

Phones send them where the other side does not understand reactions. They quote what they are about, so they may hold
STOP or START without anybody having said it.
"""

import re
import unicodedata

from portal.domain import text_input

_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»″＂", '"'))
_SOME = r"[^\n]{1,30}?"
_DONE = "|".join(
    (
        r"liked|loved|disliked|laughed at|emphasi[sz]ed|questioned|reacted(?: with)? \S+ to",
        rf"removed (?:an? )?{_SOME} from",
        r"(?:no )?le (?:gusto|gusta|encanto|encanta|dio risa|hizo gracia)|(?:le )?ha (?:gustado|encantado)",
        r"me (?:gusta|encanta)|(?:se )?(?:rio|ha reido) de|enfatizo|destaco|cuestiono|pregunto(?: sobre| por)?|exclamo",
        r"reacciono (?:con )?\S+ (?:a|ante)",
        rf"(?:elimino|quito|ha quitado|ha eliminado) (?:un |una |el |la )?{_SOME} (?:de|a)",
        r"(?:n'a pas|a) (?:aime|adore|ri(?: a| de)?|souligne|insiste sur|mis (?:en avant|l'accent sur|en evidence))",
        r"a (?:pose une question sur|questionne|reagi (?:avec |par )?\S+ a)|s'est interrogee? sur",
        rf"a (?:supprime|retire|enleve) (?:un |une |le |la |l')?{_SOME} (?:de|a|sur)",
    )
)
_MEDIA = (
    r"(?:an?|una?|une|el|la|le) (?:image|photo|picture|movie|video|attachment|audio message|voice message|link|location"
    r"|contact|sticker|imagen|foto|pelicula|archivo(?: adjunto)?|mensaje de audio|enlace|ubicacion|film|piece jointe"
    r"|message audio|lien)"
)
_QUOTED = r"\s?\"(?:.*\"[.!]?|.*…|[^\"]*)"
_WRITTEN = re.compile(rf"(?:{_DONE})(?:{_QUOTED}| {_MEDIA})", re.DOTALL)
_BY_EMOJI = re.compile(rf"\S{{1,12}} (?:to|a|en|sur)(?:{_QUOTED}| {_MEDIA})", re.DOTALL)
"""As Google Messages writes it: 👍 to “Your renewal is due”."""


def is_tapback(body: str) -> bool:
    seen = text_input.lines(body, joiners=False).translate(_QUOTES).replace("’", "'")
    letters = unicodedata.normalize("NFKD", seen).lower()
    text = "".join(letter for letter in letters if unicodedata.category(letter) not in ("Mn", "Sk")).strip()
    by_emoji = bool(text) and not text[0].isascii() and not text[0].isalpha()
    return bool(_WRITTEN.fullmatch(text) or (by_emoji and _BY_EMOJI.fullmatch(text)))
