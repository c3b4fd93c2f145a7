"""Twilio's default opt-out keywords and the automatic replies to them (docs/twilio.md#opt-out-keywords).

They apply to long codes and toll-free numbers. For a short code, Twilio leaves opt-out handling to its owner.
"""

import re

from simulator.number_formats import is_toll_free

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
"""The toll-free network, not Twilio, handles STOP, and sends this reply."""

_SHORT_CODE = re.compile(r"[0-9]{5,6}")


def keyword_of(body: str, sending_number: str) -> str | None:
    """The keyword that Twilio acts on when a text with this body arrives at one of the account's numbers.

    The keyword must be the whole text: "stop please" is not one.
    """
    if _SHORT_CODE.fullmatch(sending_number):
        return None
    word = body.strip().upper()
    if word == "YES" and is_toll_free(sending_number):
        return None
    keywords = {"stop": STOP, "start": START, "help": HELP}
    return next((keyword for keyword, words in keywords.items() if word in words), None)


def auto_reply(keyword: str, sending_number: str) -> str:
    if keyword == "stop" and is_toll_free(sending_number):
        return TOLL_FREE_STOP_REPLY
    return AUTO_REPLIES[keyword]
