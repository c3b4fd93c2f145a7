"""The one table of Twilio's error codes: a plain sentence, what to do, and whether to try again (TWILIO.md 5.3).

An unknown code is shown with Twilio's own words and treated as permanent: Twilio may change its codes at any time.
"""

from dataclasses import dataclass
from enum import Enum


class Advice(Enum):
    """What we do by ourselves."""

    NEVER = "never"
    LATER = "later"
    PAUSE = "pause"
    """The fault lies with the account or the sending number: stop the lane until it is mended, burn no attempts."""


class Again(Enum):
    """Whether it makes sense to send the text again, in the words for whoever may do so (docs/adr/0017)."""

    NO = "Sending it again does not help."
    ONCE = "If it matters, send it again once, some hours later."
    LATER = "Send it again later if it is still of use."
    MENDED = "Then send it again if it is still of use."
    ITSELF = "It is tried again by itself."
    RESUMED = "What waits leaves then."
    UNKNOWN = ""


@dataclass(frozen=True)
class ProviderCode:
    """`mend` is what to do about it; "" where there is nothing to do."""

    code: str
    sentence: str
    mend: str
    again: Again
    advice: Advice = Advice.NEVER
    number_is_dead: bool = False
    """The verdict is on the number itself: no more texts there until its owner has looked at it."""
    of_account: bool = False
    """The fault lies with the account: none of its sending numbers gets anything through."""

    @property
    def remedy(self) -> str:
        return f"{self.mend} {self.again.value}".strip()


def _never(code: str, sentence: str, mend: str = "", again: Again = Again.NO) -> ProviderCode:
    return ProviderCode(code, sentence, mend, again)


def _dead(code: str, sentence: str) -> ProviderCode:
    return ProviderCode(code, sentence, _ASK, Again.NO, number_is_dead=True)


def _later(code: str, sentence: str) -> ProviderCode:
    return ProviderCode(code, sentence, "", Again.ITSELF, Advice.LATER)


def _pause(code: str, sentence: str, mend: str, again: Again = Again.RESUMED) -> ProviderCode:
    return ProviderCode(code, sentence, mend, again, Advice.PAUSE)


def _pause_all(code: str, sentence: str, mend: str, again: Again = Again.RESUMED) -> ProviderCode:
    return ProviderCode(code, sentence, mend, again, Advice.PAUSE, of_account=True)


_ASK = "Ask the person to check the number on their account."
_SETTINGS = "Correct the gateway settings, then resume sending."
_SETTLE = "Settle it with Twilio, then resume sending."
_REPORT = "Report this: the portal should not send it."
_OUR_DOOR = "Have the gateway doctor look at our address. The text itself is on its way."
_CODES = (
    _never("11200", "Twilio got no proper answer from our webhook.", _OUR_DOOR),
    _never("11205", "Twilio could not connect to our webhook.", _OUR_DOOR),
    _never("12200", "Twilio could not make sense of our webhook's answer.", _OUR_DOOR),
    _never("12300", "Our webhook's answer was of a kind that Twilio does not take.", _OUR_DOOR),
    _pause_all("20003", "Twilio does not accept the account's credentials.", _SETTINGS),
    _pause_all("20005", "The Twilio account is not active.", _SETTLE),
    _pause_all("20006", "Access to the Twilio account is denied.", _SETTINGS),
    _pause("20404", "Twilio does not know the account or service.", _SETTINGS),
    _later("20429", "Twilio was asked too much at once."),
    _dead("21211", "This is not a phone number Twilio can text."),
    _pause("21212", "The sending number is malformed or may not be used.", _SETTINGS),
    _never("21266", "The number is the same as the sending number.", _ASK),
    _never(
        "21408",
        "Texts to this country are not enabled; others go on.",
        "Enable it in Twilio's geo permissions.",
        Again.MENDED,
    ),
    _pause("21601", "The sending number cannot send texts.", _SETTINGS),
    _never("21602", "The text was empty.", _REPORT),
    _never("21603", "No sending number was given.", _SETTINGS),
    _never("21604", "No recipient was given.", _REPORT),
    _pause("21606", "The sending number does not belong to the account or cannot text.", _SETTINGS),
    _never(
        "21608",
        "The account may text verified numbers only, and this is none; those go on.",
        "Upgrade the Twilio account, or verify the number there.",
        Again.MENDED,
    ),
    _pause("21609", "Twilio refuses the address for status callbacks.", "Correct PORTAL_PUBLIC_URL, then resume."),
    _never("21610", "The person replied STOP.", "Only a START from that phone turns texts on again."),
    _later("21611", "The sending number's queue at Twilio is full."),
    _never("21612", "The sending number cannot reach this number.", "Try another sending number."),
    _dead("21614", "This number cannot receive texts."),
    _never("21617", "The text is too long.", "Shorten it to 1,600 characters.", Again.MENDED),
    _never("21619", "The text had neither words nor a picture.", _REPORT),
    _dead("21635", "This is a landline."),
    _never("21658", "The text is too long.", "Shorten it to 1,600 characters.", Again.MENDED),
    _pause("21659", "The sending number is not one of the account's.", _SETTINGS),
    _pause("21661", "The sending number cannot send texts.", _SETTINGS),
    _pause("21701", "Twilio does not know the messaging service.", _SETTINGS),
    _pause("21703", "The messaging service has no number that can reach this one.", _SETTINGS),
    _pause("21704", "The messaging service has no sending number.", _SETTINGS),
    _pause("21705", "The messaging service's id is wrong.", _SETTINGS),
    _never("30001", "Twilio's queue overflowed.", again=Again.LATER),
    _pause_all("30002", "The Twilio account is suspended.", _SETTLE, Again.MENDED),
    _never(
        "30003",
        "The phone is off, out of range or cannot get texts.",
        "Often it passes. If it comes again: " + _ASK,
        Again.ONCE,
    ),
    _never("30004", "The message was blocked by the phone or the carrier.", _ASK),
    _dead("30005", "The number is unknown or no longer in use."),
    _dead("30006", "This is a landline, or its carrier cannot be reached."),
    _never(
        "30007",
        "Twilio or the carrier filtered the message as spam.",
        "Review the wording: the same again makes it worse.",
    ),
    _never("30008", "The carrier gave no reason.", again=Again.ONCE),
    _never("30017", "The carrier's network was congested.", again=Again.LATER),
    _never(
        "30022", "The registered campaign's rate was exceeded.", "Lower the rate in the gateway settings.", Again.LATER
    ),
    _never("30023", "The carrier's daily limit is used up.", "It begins anew at midnight Pacific time.", Again.LATER),
    _never(
        "30024",
        "The sending number is still being set up with the carrier.",
        "See at Twilio that it is ready.",
        Again.LATER,
    ),
    _never(
        "30025",
        "Half of the carrier's daily limit is used up.",
        "It begins anew at midnight Pacific time.",
        Again.LATER,
    ),
    _never(
        "30026",
        "Most of the carrier's daily limit is used up.",
        "It begins anew at midnight Pacific time.",
        Again.LATER,
    ),
    _never("30027", "The carrier's daily limit is used up.", "It begins anew at midnight Pacific time.", Again.LATER),
    _pause(
        "30032", "The toll-free number is not verified.", "Verify it with Twilio, then resume sending.", Again.MENDED
    ),
    _pause(
        "30034",
        "The sending number is not registered to a campaign.",
        "Register it with Twilio, then resume sending.",
        Again.MENDED,
    ),
    _never("30035", "The sending number is still being registered.", "See at Twilio that it is ready.", Again.LATER),
    _never("30036", "The text was too old when its turn came.", again=Again.LATER),
    _never(
        "30410",
        "The carrier did not answer in time.",
        "It may still arrive, so another may be the second.",
        Again.LATER,
    ),
    _never("30450", "Twilio held the message back as possible abuse.", "Wait half an hour.", Again.LATER),
    _never("30610", "Twilio's Compliance Toolkit held it back: it is night where the person is.", again=Again.LATER),
    _never(
        "30640",
        "Twilio's Compliance Toolkit held it back: the number is on a list of those not to text.",
        "Leave it at the email.",
    ),
    _never("63038", "The account's daily limit is used up.", "It begins anew the next day.", Again.LATER),
)
CODES: dict[str, ProviderCode] = {entry.code: entry for entry in _CODES}

OPTED_OUT, TOO_MANY, NOT_REACHED = "21610", "20429", "30003"
NOT_REACHED_MOST = 3
"""So many texts in a row that did not reach the phone say of the number itself that it cannot be reached."""


def explain(code: str, providers_words: str = "") -> ProviderCode:
    """The row for a code; an unknown one speaks with the provider's words."""
    known = CODES.get(code)
    if known is not None:
        return known
    words = providers_words.strip() or "Twilio gave no explanation."
    return ProviderCode(
        code, f"{words.rstrip('.')}.", f"Look up code {code} in Twilio's error dictionary.", Again.UNKNOWN
    )
