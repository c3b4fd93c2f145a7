"""Twilio's default opt-out keywords and the automatic replies to them (docs/twilio.md#opt-out-keywords).

They apply to long codes and toll-free numbers. For a short code, Twilio leaves opt-out handling to its owner.
"""

import re

STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START = frozenset({"START", "YES", "UNSTOP"})
HELP = frozenset({"HELP", "INFO"})

AUTO_REPLIES = {
    "stop": (
        "You have successfully been unsubscribed. You will not receive any more messages from this number. "
        "Reply START to resubscribe."
    ),
    "start": (
        "You have successfully been re-subscribed to messages from this number. Reply HELP for help. "
        "Reply STOP to unsubscribe. Msg&Data Rates May Apply."
    ),
    "help": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}


TOLL_FREE_STOP_REPLY = (
    'NETWORK MSG: You replied with the word "stop" which blocks all texts sent from this number. '
    'Text back "unstop" to receive messages again.'
)
"""The toll-free network sends this reply to STOP instead of Twilio's."""

_SHORT_CODE = re.compile(r"[0-9]{5,6}")
_TOLL_FREE = re.compile(r"\+18(?:00|33|44|55|66|77|88)[0-9]{7}")


def keyword_of(body: str, sending_number: str) -> str | None:
    """The keyword that Twilio acts on when a text with this body arrives at one of the account's numbers.

    The keyword must be the whole text: "stop please" is not one.
    """
    if _SHORT_CODE.fullmatch(sending_number):
        return None
    word = body.strip().upper()
    if word == "YES" and has_network_opt_out(sending_number):
        return None
    for keyword, words in (("stop", STOP), ("start", START), ("help", HELP)):
        if word in words:
            return keyword
    return None


def has_network_opt_out(sending_number: str) -> bool:
    """True for the toll-free numbers where the toll-free network, not Twilio, handles STOP."""
    return _TOLL_FREE.fullmatch(sending_number) is not None


def auto_reply(keyword: str, sending_number: str) -> str:
    if keyword == "stop" and has_network_opt_out(sending_number):
        return TOLL_FREE_STOP_REPLY
    return AUTO_REPLIES[keyword]
