"""What a text from a handset says: keywords, opt-outs in other words, and what a person must read."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from portal.consent.rules.keywords import (
    HELP_KEYWORDS,
    START_KEYWORDS,
    STOP_KEYWORDS,
    Classification,
    ReplyCategory,
    classify_reply,
    is_twilio_keyword,
)

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=200)
KEYWORDS = {
    **dict.fromkeys(STOP_KEYWORDS, ReplyCategory.STOP),
    **dict.fromkeys(START_KEYWORDS, ReplyCategory.START),
    **dict.fromkeys(HELP_KEYWORDS, ReplyCategory.HELP),
}
PUNCTUATION = st.text(st.sampled_from(" \n\t\u00a0.,;:!\"'“”‘’*()"), max_size=4)

OPT_OUTS = """
stop texting me
Stop texting me please
STOP!!! STOP TEXTING ME
stop stop stop
please stop
Stop it
stop now
stop all
STOP ALL MESSAGES
stop sms
stop, thanks
STOP 🛑
stop…
«STOP»
ＳＴＯＰ
I said stop
I told you to stop texting me
Can you please stop texting me?
could you stop sending me these messages??
Hi, would you please remove me from this list?
will you stop
no more
No more texts please
no more messages
remove me
Please remove me from your list
remove my number from your list
delete my phone number
take me off your list
take me off of this list please
unsubscribe me
un-subscribe
Unsubscribe please.
opt me out
opt out please
I want to opt out
I'd like to unsubscribe
i would like you to stop
cancel my subscription
end my subscription
quit texting me
I don't want these texts anymore
I don’t want any more messages
I do not want to receive text messages from you
I no longer want to receive these messages
i no longer wish to get texts
I revoke my consent
I withdraw consent
do not contact me again
Don't text this number
dont ever text me again
never text me
leave me alone
not interested
wrong number
Sorry, you have the wrong number
this is the wrong person
fuck off
go away
cease and desist
No más mensajes
ya no mas
basta
désabonner
ARRÊTEZ
stopp
S.T.O.P
s-t-o-p!
S T O P
🛑
🛑🛑🛑
I didn't ask for this, stop
I never signed up for these. Unsubscribe
Stop texting me, I moved to Canada
Please remove me from this list. I am not Bob.
You have the wrong number. Stop texting me!
stop sending me texts about renewals
Stop texting me about my license
stop texting my wife
Unsubscribe from northfield
please opt out from all of this
revoke consent
withdraw consent
I hereby revoke all consent
how do i stop these
how do I stop these messages
stopall please
st0p
remove my number and use my email
unsubscr1be
deténganlos
Please remove 202-555-0143 from your texts
REMOVE
remove please
TD please
ＴＤ
t.d.
stop2end
TERMINATE
terminate my subscription
"""

MULTILINE_OPT_OUTS = [
    "STOP.\n\nSent from my iPhone",
    "please stop\nSent from my Galaxy S23 Ultra",
    "Unsubscribe\r\n\r\nGet Outlook for iOS",
    "I didn't ask for this\nstop",
    "s\u200bt\u200bo\u200bp it",
]

NOT_OPT_OUTS = """
stop?
how do I stop?
Can I stop whenever I want?
can you stop by the office tomorrow?
could you tell me when the course ends?
don't stop
Please don't stop!
do not stop texting me
never stop
I don't want to stop
I do not want to stop getting texts
please do not remove me
please don't remove me
stop by the office?
when does it end
I want to cancel my exam
can I stop by tomorrow
I didn't ask for this to stop
I didn't ask for this
I never asked you to stop, text me
Sent from my iPhone
stop sending me letters about renewals
stop texting?
stop texting me about renewals?
remove it
remove my old address
terminate my licence
a b c
The bus, stop
don't cancel my renewal
don't call me, text me
do not call me
stop by tomorrow
stop when you get there
I'll stop by at noon
the bus stop is here
when does it stop
stop sending bills to my old address
stop smoking
quit my job today
cancel my appointment
please cancel my exam on Friday
end of March works for me
The End
no more than one a day please
remove my name from the board
who is this?
who is this? stop
what is this
no
No thanks
ok
thanks
yes please
I want to start
start texting me
when does it start?
info on my licence please
can you help me with my renewal
My number is 555 1234
text me later
I already unsubscribed
please call me
unsubscribe from newsletter emails only, keep texts
stop it you're too kind
Stop it 😂
how do I cancel this
how do I stop the autopay
Estoy de baja
remove my number and add 2025550188
cancel 1234567890
wrong number, it's 2025550188
delete 2025550143, new is 2025550188
stop texting 2025550143 and text 2025550188 instead
starting
unstoppable
helpful
"""


def sample_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


@pytest.mark.parametrize("body", [*sample_lines(OPT_OUTS), *MULTILINE_OPT_OUTS])
def test_free_text_opt_out_is_marked_as_interpreted(body: str) -> None:
    assert classify_reply(body) == Classification(ReplyCategory.STOP, is_keyword=False)
    assert classify_reply(body.upper()).category == classify_reply(body.lower()).category == "stop"


@pytest.mark.parametrize("body", sample_lines(NOT_OPT_OUTS))
def test_ambiguous_text_needs_review(body: str) -> None:
    assert classify_reply(body).category == "unclear"


@DETERMINISTIC
@given(st.sampled_from(sorted(KEYWORDS)), st.randoms(use_true_random=False), PUNCTUATION, PUNCTUATION)
@example("opt out", None, " ", "!")
def test_keyword_counts_in_any_case_and_punctuation(keyword: str, dice: object, before: str, after: str) -> None:
    typed = keyword
    if dice is not None:
        typed = "".join(dice.choice([letter.lower(), letter.upper()]) for letter in keyword)  # type: ignore[attr-defined]
    assert classify_reply(f"{before}{typed}{after}") == Classification(KEYWORDS[keyword])


@pytest.mark.parametrize("invisible", ["\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202e"])
def test_invisible_characters_do_not_hide_a_keyword(invisible: str) -> None:
    for keyword, category in KEYWORDS.items():
        assert classify_reply(f"{keyword}{invisible}") == Classification(category)
        assert classify_reply(f"{invisible}{keyword}") == Classification(category)
        assert classify_reply(invisible.join(keyword)) == Classification(category)


@pytest.mark.parametrize(
    ("body", "category"),
    [
        ("TD", "stop"),
        ("Arrêt !", "stop"),
        ("arre\u0302t", "stop"),
        ("PARAR.", "stop"),
        ("¡Pare!", "stop"),
        ("CANCELAR", "stop"),
        ("Baja", "stop"),
        ("aide", "help"),
        ("¡AYUDA!", "help"),
    ],
)
def test_carrier_and_foreign_keywords_are_recognised(body: str, category: str) -> None:
    assert classify_reply(body) == Classification(ReplyCategory(category))


@pytest.mark.parametrize(
    "body", ["Sí", "si", "INICIAR", "Empezar", "ALTA", "suscribir", "comenzar", "continuar", "oui"]
)
def test_only_words_that_lift_the_block_of_twilio_opt_in(body: str) -> None:
    assert classify_reply(body).category == "unclear"


@pytest.mark.parametrize(
    "body",
    [
        "Help?",
        "HELP me",
        "help me please",
        "Please help",
        "info?",
        "INFO please",
        "Aide svp",
        "AYÚDEME",
        "Aidez-moi !",
        "helpme",
        "Information",
        "HELP.\n\nSent from my iPhone",
        "Ayuda\nEnviado desde mi iPhone",
    ],
)
def test_short_help_request_is_answered(body: str) -> None:
    assert classify_reply(body) == Classification(ReplyCategory.HELP)


@DETERMINISTIC
@given(st.text(max_size=1_600), st.text(max_size=10))
def test_any_text_can_be_classified(body: str, opt_out_type: str) -> None:
    assert classify_reply(body, opt_out_type).category in set(ReplyCategory)
    assert is_twilio_keyword(body, opt_out_type) in (True, False)


NEGATIONS = st.sampled_from(["don't", "do not", "dont", "please don’t", "never", "ok do not", "please do not ever"])
OPT_OUT_VERBS = st.sampled_from(["stop", "unsubscribe", "cancel", "end", "quit", "remove", "opt out", "want to stop"])
TRAILING_WORDS = st.lists(
    st.sampled_from(["me", "texting", "these", "please", "stop", "more", "us", "you"]), max_size=4
)


@DETERMINISTIC
@given(NEGATIONS, OPT_OUT_VERBS, TRAILING_WORDS)
def test_negated_opt_out_never_opts_out(negation: str, verb: str, trailing: list[str]) -> None:
    assert classify_reply(" ".join([negation, verb, *trailing])).category == "unclear"


SPANISH_NEGATIONS = ["no", "por favor no", "nunca", "no vayan a", "no quiero que", "les pido que no", "favor de no"]
SPANISH_OPT_OUTS = """
me den de baja
me quiten de la lista
me borren de la lista
me saquen de la lista
cancelen los mensajes
cancelar los mensajes
paren los mensajes
dejen de escribirme
dejar de escribirme
eliminen mi número
suspendan los avisos
darme de baja
quitarme
"""


@pytest.mark.parametrize("negation", SPANISH_NEGATIONS)
def test_negated_opt_out_in_spanish_never_opts_out(negation: str) -> None:
    bodies = [f"{negation} {opt_out}" for opt_out in sample_lines(SPANISH_OPT_OUTS)]
    assert [body for body in bodies if classify_reply(body).category != "unclear"] == []


WORDS = sorted({*KEYWORDS, "please", "me", "texting", "no", "more", "i", "don't", "want", "you", "can", "?", "my"})


@DETERMINISTIC
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=40))
def test_only_whole_keywords_mean_start_or_help(words: list[str]) -> None:
    body = " ".join(words)
    if classify_reply(body).category == "start":
        assert body in KEYWORDS
    if classify_reply(body).category == "help":
        assert HELP_KEYWORDS & set(words)
        assert set(words) <= {*HELP_KEYWORDS, "me", "please", "?"}


@pytest.mark.parametrize(
    "body",
    ["a" + " " * 60_000 + "b", " " * 60_000, "please " * 9_000, "stop " * 12_000, "😀" * 16_000, "." * 60_000 + "a"],
    ids=["spaces", "only spaces", "openings", "keywords", "emoji", "points"],
)
def test_huge_text_is_classified_quickly(body: str) -> None:
    begun = time.process_time()
    classify_reply(body)
    assert time.process_time() - begun < 0.5


def test_long_text_is_not_an_opt_out() -> None:
    assert classify_reply("stop " + "please " * 27).category == "stop"
    assert classify_reply("stop " + "please " * 30).category == "unclear"


@pytest.mark.parametrize(("named", "category"), [("STOP", "stop"), ("start", "start"), (" HELP ", "help")])
def test_twilio_opt_out_type_overrides_the_text(named: str, category: str) -> None:
    assert classify_reply("arrêt svp", named) == Classification(ReplyCategory(category))
    assert classify_reply("STOP", named) == Classification(ReplyCategory(category))


def test_unknown_twilio_opt_out_type_is_ignored() -> None:
    assert classify_reply("STOP", "SOMETHING") == Classification(ReplyCategory.STOP)


@pytest.mark.parametrize("body", ["STOP", " stop\n", "OptOut", "Revoke", "yes", "UNSTOP", "help", "INFO"])
def test_twilio_keywords_are_recognised(body: str) -> None:
    assert is_twilio_keyword(body)


@pytest.mark.parametrize(
    "body",
    ["opt out", "Opt-Out", "stop.", "“stop”", "stop please", "", "no más", "TD", "AIDE", "ayuda", "ARRÊT", "alto"],
)
def test_our_own_keywords_are_not_twilio_keywords(body: str) -> None:
    """Twilio compares the whole text with its keywords, so a full stop after one makes it another text."""
    assert not is_twilio_keyword(body)
    assert is_twilio_keyword(body, "STOP"), "Advanced Opt-Out has keywords of its own"
