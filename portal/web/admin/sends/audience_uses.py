"""What goes on asking for a saved audience."""

from portal.schedules.tables.schedules import schedules_with_audience


def audience_uses(audience_id: int) -> list[str]:
    """The names of the schedules that would fail without it. Sends keep the definition, so they are none of it."""
    return [schedule.name for schedule in schedules_with_audience(audience_id)]
