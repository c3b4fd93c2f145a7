"""The shipped text of the public pages about texts. Each sentence is one that reviewers of carriers look for."""

TERMS = """\
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

PRIVACY = """\
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

OPT_IN = """\
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
