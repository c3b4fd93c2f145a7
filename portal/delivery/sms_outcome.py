"""How an attempt at a text ended, and what that says about the sending number."""

from dataclasses import dataclass

from portal.core.rules.routing import SIMULATED_MODES, Mode, TextKind
from portal.gateways.outcomes import AccountFault, NotSent, Outcome, Unknown, UnrecognizedError
from portal.gateways.rules.provider_codes import TOO_MANY_REQUESTS, Cooldown, explain_error_code

_TOO_MANY_REQUESTS = 429


@dataclass(frozen=True)
class ReleasedText:
    """The text was not sent because its slot or lease had passed: it gets a new slot, without counting the attempt."""


@dataclass(frozen=True)
class SmsResult:
    attempt_id: str
    delivery_id: int
    mode: Mode
    sender: str
    outcome: Outcome | ReleasedText
    kind: str = TextKind.NOTIFICATION

    @property
    def answered(self) -> bool | None:
        """Whether the provider answered; None if it was not asked or could not be reached."""
        if isinstance(self.outcome, ReleasedText) or self.was_unreachable:
            return None
        return not isinstance(self.outcome, Unknown)

    @property
    def was_unreachable(self) -> bool:
        """Whether the provider was never reached: no connection, or a response from something in between."""
        return isinstance(self.outcome, NotSent) and not self.outcome.code


def cooldown_after(outcome: Outcome | ReleasedText) -> Cooldown | None:
    """How long the number waits after this outcome; None if it is no limit. An unknown limit lasts minutes."""
    if not isinstance(outcome, NotSent) or outcome.code in ("", TOO_MANY_REQUESTS):
        return None
    is_unknown_limit = outcome.http_status == _TOO_MANY_REQUESTS
    return explain_error_code(outcome.code).cooldown or (Cooldown.FEW_MINUTES if is_unknown_limit else None)


def blocks_sender(outcome: Outcome | ReleasedText) -> bool:
    """Whether other texts claimed for the number would be rejected as well."""
    return isinstance(outcome, AccountFault) or cooldown_after(outcome) is not None


def concerns_sender(result: SmsResult) -> bool:
    """Whether the outcome is a limit of the number, or a rejection that may be the number’s fault."""
    if result.mode in SIMULATED_MODES:
        return False
    return isinstance(result.outcome, UnrecognizedError) or cooldown_after(result.outcome) is not None
