"""The steps that put a portal into service, in the advised order."""

from dataclasses import dataclass

from portal.core.translation import N_


@dataclass(frozen=True)
class SetupStep:
    """`why`, `action` and `confirmation` are to be translated. A step with a `confirmation` is done once somebody
    presses that button: the portal cannot know it by itself.
    """

    key: str
    title: str
    why: str
    action: str
    confirmation: str = ""


@dataclass(frozen=True)
class StepState:
    """`detail` is translated: what is set, or what is missing."""

    step: SetupStep
    is_done: bool
    detail: str = ""


STEPS = (
    SetupStep(
        "organization",
        N_("Organization"),
        N_("People must recognize who writes to them, and the links in messages must lead here."),
        N_("Set up the organization"),
    ),
    SetupStep(
        "email",
        N_("Email"),
        N_("Every notification goes out by email, and so do the links that set a password."),
        N_("Set up the mail server"),
    ),
    SetupStep(
        "twilio",
        N_("Twilio"),
        N_("Twilio carries the texts, and tells the portal what people reply."),
        N_("Connect Twilio"),
    ),
    SetupStep(
        "test_text",
        N_("Test text"),
        N_("One text to your own phone proves that the whole way works, before anybody else is texted."),
        N_("Send a test text"),
    ),
    SetupStep(
        "wording",
        N_("Consent wording"),
        N_("Carriers and courts ask what people agreed to: the wording must name you and what you send."),
        N_("Read the content blocks"),
        N_("The wording is right"),
    ),
    SetupStep(
        "registration",
        N_("Registration"),
        N_("Carriers let a number send once they know who you are, and have read your public pages."),
        N_("See what carriers ask"),
    ),
    SetupStep("people", N_("People"), N_("Notifications go to accounts."), N_("Import accounts")),
    SetupStep(
        "opt_outs",
        N_("Opt-outs"),
        N_("Whoever has told you STOP before, elsewhere, must not be texted from here either."),
        N_("Import opt-outs"),
        N_("There are no earlier opt-outs"),
    ),
    SetupStep(
        "quiet_hours",
        N_("Quiet hours"),
        N_("Many states forbid texts at night. Texts that can wait then wait until the morning."),
        N_("See what is set"),
    ),
    SetupStep(
        "live",
        N_("Going live"),
        N_("Until text messages are on, people get emails only."),
        N_("Turn on text messages"),
    ),
)
STEPS_BY_KEY = {step.key: step for step in STEPS}
