"""How the wording check finds its points in Spanish. People leave accents out, so the patterns have none."""

from portal.content.rules.block_languages import english_patterns

_REPLY_WITH = r"\b(?:respond[ae]|conteste|envie|mande|escriba|texte[ea])(?:\s+con)?[\s“\"'‘]+"
_CHARGES, _COMPANIES = r"\b(?:tarifas?|cargos?|cost[oe]s?|cobros?)\b", r"\b(?:operador\w*|compania\w*|proveedor\w*)\b"
_ADDRESS = r"(?:\S@\S+\.\w|\d[\d\s().-]{6,}\d)"
_SHARES = r"(?:compart|vend|ced)\w+"

PATTERNS = english_patterns.PATTERNS | {
    "purpose": r"\b(?:avis\w+|notific\w+|recordatorios?|recordar\w*|alertas?|novedad(?:es)?|actualizaci\w+|noticias"
    r"|renovaci\w+|plazos?|vencimientos?|fechas? limites?|acerca de|sobre (?:su|el|la|un|una)|informar\w*)\b",
    "frequency": r"\bfrecuencia|\b(?:diari[oa]|semanal|mensual|anual)|\buna vez (?:al|por)\b"
    r"|\b(?:hasta|como maximo|no mas de) \d+|\b(?:cantidad|numero) de (?:mensajes|textos|avisos|sms)\b"
    r"|\b(?:sms|msjs?|mensajes?|textos?|avisos?)\s?(?:/|al\b|a la\b|por\b|cada\b)\s?(?:dia|semana|mes|ano)",
    "rates": rf"\b(?:aplic\w+|haber|cobr\w+|gener\w+)\b.{{0,25}}{_CHARGES}.{{0,25}}\bdatos\b"
    rf"|{_CHARGES}.{{0,25}}\bdatos\b.{{0,25}}\baplic\w+",
    "help": rf"(?-i:\b(?:HELP|AYUDA)\b)|{_REPLY_WITH}(?:help|ayuda)\b",
    "stop": rf"{english_patterns.PATTERNS['stop']}|{_REPLY_WITH}stop\b",
    "start": rf"{english_patterns.PATTERNS['start']}|{_REPLY_WITH}start\b",
    "ended": r"\b(?:su|la|de) baja\b|\bya no\b|\bno (?:le |les )?(?:envi|mand|recib)\w+|\bno habra mas\b"
    r"|\bdej\w+ de (?:recib|envi)|\b(?:cancelad|terminad|finalizad|suspendid)[oa]s?\b|\bcancel(?:o|amos)\b",
    "program": r"\bprograma\b\W{0,3}\s\w",
    "content": r"\bque (?:le )?enviamos\b"
    r"|\b(?:recibe|recibira|llegan|llegaran) (?:avisos|mensajes|textos|notificaciones) (?:de|sobre)\b",
    "channel": r"(?-i:\bSMS\b)|\bmensajes? de texto\b",
    "bold_help": r"(?-i:\*\*[^*\n]*\b(?:HELP|AYUDA)\b[^*\n]*\*\*)",
    "support": rf"\b(?:escrib|llam|contact|comuni|dirij)\w+\b[^.\n]{{0,40}}?{_ADDRESS}",
    "complaint": rf"\b(?:quej|reclam)\w+\b[^\n]{{0,60}}(?:{_ADDRESS}|https?://)",
    "carriers": rf"{_COMPANIES}[^.]{{0,60}}\bno\b[^.]{{0,30}}\bresponsab\w+"
    rf"|\bno\b[^.]{{0,30}}\bresponsab\w+[^.]{{0,60}}{_COMPANIES}",
    "collected": r"\b(?:recopil|recog|recab|guard|registr|conserv|almacen)\w+\b[^.]{0,60}\b(?:numero|telefono)\b",
    "no_sharing": rf"\b(?:no|ningun\w*|nunca)\b[^.]{{0,80}}\b{_SHARES}\b[^.]{{0,120}}\bterceros\b"
    r"[^.]{0,80}\b(?:marketing|mercadotecnia|promoci\w+|publici\w+|comercial\w*)\b",
    "consent_not_shared": rf"\bconsentimiento\b[^.]{{0,80}}\b(?:no|nunca)\b[^.]{{0,40}}\b{_SHARES}\b"
    rf"|\b(?:no|nunca)\b[^.]{{0,40}}\b{_SHARES}\b[^.]{{0,80}}\bconsentimiento\b",
    "optional": r"\bno (?:es|son|constituye)\b[^.]{0,20}\b(?:condicion|requisito|obligatori[oa]s?|necesari[oa]s?)\b"
    r"|\b(?:mensajes|textos|consentimiento) (?:es|son) (?:opcional|voluntari)",
}
"""By point, in any case."""

EXAMPLES = {
    "frequency": "La frecuencia de los mensajes varía",
    "help": "Responda HELP para obtener ayuda",
    "stop": "Responda STOP para cancelar",
    "program": "Programa: avisos de la cuenta",
    "carriers": "Los operadores móviles no son responsables de los mensajes que se retrasen o no se entreguen.",
}
"""What is enough for a point."""
