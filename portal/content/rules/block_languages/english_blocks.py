"""The shipped English text of each content block.

Each passes the wording check, and each SMS fits one segment if the organisation's name has at most 30 characters.
"""

OPT_IN_PROMPT = """\
**{{ organisation }}** can text you when there is news about your account: renewals, deadlines and decisions.
Each text contains the subject of a notification and a link to it. You still get everything by email as well.

After you confirm, {{ sending_number }} sends one text to {{ phone_number }}. **Reply START to it** to agree to
text messages at this number. Nothing more is sent until you do.

- **How often:** message frequency varies with what happens on your account.
- **Cost:** message and data rates may apply.
- **Help:** reply HELP to any of our texts.
- **Stopping:** reply STOP to any of them, at any time.

Texts are optional: your account works the same without them. Read the [terms]({{ portal_url }}/sms/terms) and the
[privacy policy]({{ portal_url }}/sms/privacy).\
"""

WELCOME_TEXT = """\
{{ organisation }}: notices about your account now come by text. \
Msg frequency varies. Msg&data rates may apply. HELP for help, STOP to end.\
"""

INVITATION_TEXT = """\
{{ organisation }}: reply START for notices about your account by text. \
Msg frequency varies. Msg&data rates may apply. HELP for help, STOP to end.\
"""

STOP_HELP_INFO = """\
- **To stop texts**, reply STOP to any of them, or text STOP to {{ sending_number }}. This stops them for every account
  with your phone number.
- **To restart texts**, text START to {{ sending_number }} from the same phone. You cannot do this on this page.
- **For help**, reply HELP. Message and data rates may apply.\
"""

STOP_REPLY = """\
{{ organisation }}: you are opted out and will get no more texts from us at this number. \
Reply START to get them again.\
"""

HELP_REPLY = """\
{{ organisation }}: account notices by text. Questions: {{ portal_url }} \
Msg&data rates may apply. Reply STOP to end.\
"""

SIGN_IN_NOTICE = ""

PUBLIC_TERMS = """\
These terms are for everybody who asks {{ organisation }} for texts.

- **Program:** account notices by text message (SMS).
- **What we send:** renewals, deadlines and decisions that concern your account, each with a link to the whole message.
  No advertising.
- **How to join:** request texts at your phone number in the portal, then reply START to the invitation.
- **How often:** message frequency varies with what happens on your account.
- **Cost:** message and data rates may apply.
- **To end it:** reply **STOP** to any of our texts. We confirm it with one text, and send no more.
- **For assistance:** reply **HELP** to any of our texts.
- **Support:** contact us at {{ support_contact }}.
- **Complaints:** if something went wrong, complain to {{ support_contact }}. We reply within 30 days. In the United
  States, you can also complain to the [Federal Communications Commission](https://consumercomplaints.fcc.gov).
- **Carriers:** mobile carriers are not liable for delayed or undelivered messages.
- **Privacy:** [what we do with your information]({{ portal_url }}/sms/privacy).\
"""

PUBLIC_PRIVACY = """\
This page says what {{ organisation }} does with your information when you ask for text messages (SMS).

- **What we collect:** your phone number, when and how you agreed, and which texts we sent and whether they arrived.
- **What it is for:** to send you the notices that you asked for, and to prove that you asked.
- **No sharing for marketing:** no mobile information is shared with or sold to third parties or affiliates for
  marketing or promotional purposes.
- **Your agreement:** your opt-in data and consent are not shared with anybody for any other purpose.
- **Who helps us:** only the companies that deliver the texts get your number, and only to deliver them.
- **To end it:** reply **STOP** to any of our texts. We keep a record of that, so that nobody texts you again.
- **Support:** contact us at {{ support_contact }}.
- **Complaints:** if something went wrong, complain to {{ support_contact }}. We reply within 30 days.
- **Terms:** [the terms of the program]({{ portal_url }}/sms/terms).\
"""

PUBLIC_OPT_IN = """\
**{{ organisation }}** sends text messages (SMS) to people who ask for them.

- **What we send:** renewals, deadlines and decisions that concern your account, each with a link to the whole message.
- **How often:** message frequency varies with what happens on your account.
- **Cost:** message and data rates may apply.
- **For assistance:** reply **HELP** to any of our texts.
- **To end it:** reply **STOP** to any of our texts.
- **Your choice:** consent is not a condition of any service or purchase. You get everything by email as well.
- **Your agreement:** nothing is sent until you reply START to the invitation.
- Read the [terms]({{ portal_url }}/sms/terms).
- Read the [privacy policy]({{ portal_url }}/sms/privacy).\
"""

INVITATION_MOVE_NOTICE = "START ends the texts to another account at this number."
WELCOME_MOVE_NOTICE = "Texts to another account at this number have ended."
"""Appended when texts move from one account on a number to another."""

UNKNOWN_VALUES = {"sending_number": "our number", "phone_number": "your number", "support_contact": "our office"}
"""Stand for what is not known."""
