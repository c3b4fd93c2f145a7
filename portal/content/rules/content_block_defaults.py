"""The shipped text of each content block.

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
