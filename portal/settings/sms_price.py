"""What a segment costs, if an administrator has set it."""

from decimal import Decimal, InvalidOperation

from portal.settings.app_settings import configuration
from portal.settings.rules.app_config import DEFINITIONS

_SETTING = "SmsPricePerSegment"


def price_per_segment() -> Decimal | None:
    """In dollars; None if no usable price is set."""
    if _SETTING not in DEFINITIONS:
        return None
    try:
        price = Decimal(str(configuration(_SETTING).values.get(_SETTING) or "nan"))
    except InvalidOperation:
        return None
    return price if price.is_finite() else None
