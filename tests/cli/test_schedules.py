import json

from tests.support.portal_shell import PortalShell


def test_schedules_are_listed_paused_and_resumed(seeded_shell: PortalShell) -> None:
    values = ("--data", "fee=5 USD", "--data", "due_date=May 3")
    arguments = ("fee", *values, "--on", "2090-01-31", "--rrule", "FREQ=MONTHLY;BYMONTHDAY=-1", "--name", "Monthly")
    schedule_id = seeded_shell.output_of("schedules", "create", *arguments)
    assert seeded_shell.output_of("schedules", "list").splitlines() == [
        f"{schedule_id}  active  recurring  next 2090-01-31T09:00Z (2090-01-31)  Monthly"
    ]
    seeded_shell.output_of("schedules", "pause", schedule_id)
    (row,) = json.loads(seeded_shell.output_of("schedules", "list", "--json"))
    assert (row["state"], row["next_run"]) == ("paused", None)
    assert seeded_shell.output_of("schedules", "resume", schedule_id) == f"Schedule {schedule_id} is active."


def test_run_prints_the_send_and_replaces_the_next_run(shell: PortalShell) -> None:
    shell.import_accounts("P-1")
    shell.add_template("due")
    schedule_id = shell.output_of("schedules", "create", "due", "--on", "2090-01-31")
    assert shell.output_of("schedules", "run", schedule_id) == "1"
    assert shell.error_of("schedules", "run", schedule_id) == f"Schedule {schedule_id} has no next run."
    assert shell.output_of("schedules", "list", "--all").startswith(f"{schedule_id}  ended  once  no next run")


def test_a_rule_that_cannot_be_used_is_one_line(seeded_shell: PortalShell) -> None:
    arguments = ("--data", "fee=5", "--data", "due_date=May 3", "--on", "2090-01-31", "--rrule", "FREQ=HOURLY")
    assert "FREQ=DAILY" in seeded_shell.error_of("schedules", "create", "fee", *arguments)
