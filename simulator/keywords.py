"""Twilio's default opt-out keywords, and the texts it sends by itself.

At a long code and a toll-free number; a short code of its own leaves all of it to whoever has it.
"""

import re

STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START = frozenset({"START", "YES", "UNSTOP"})
HELP = frozenset({"HELP", "INFO"})

REPLIES = {
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


NETWORK_STOP = (
    'NETWORK MSG: You replied with the word "stop" which blocks all texts sent from this number. '
    'Text back "unstop" to receive messages again.'
)
"""What the toll-free network answers instead."""

_SHORT_CODE = re.compile(r"[0-9]{5,6}")
_TOLL_FREE = re.compile(r"\+18(?:00|33|44|55|66|77|88)[0-9]{7}")


def keyword_of(body: str, number: str) -> str | None:
    """What Twilio does about a text to one of its numbers. The whole must be the keyword; "stop please" is none."""
    if _SHORT_CODE.fullmatch(number):
        return None
    word = body.strip().upper()
    if word == "YES" and is_toll_free(number):
        return None
    for name, words in (("stop", STOP), ("start", START), ("help", HELP)):
        if word in words:
            return name
    return None


def is_toll_free(number: str) -> bool:
    return _TOLL_FREE.fullmatch(number) is not None


def reply_to(keyword: str, number: str) -> str:
    return NETWORK_STOP if keyword == "stop" and is_toll_free(number) else REPLIES[keyword]
