"""Which passwords are rejected, in any disguise, and which are accepted."""

import time

import pytest

from portal.accounts.rules.password_strength import strength_problem

CONTEXT = ("Olive Owner", "olive@example.org", "P-2001", "Board of Examples", "portal.example.org")


@pytest.mark.parametrize("password", ["", "short", "x" * 11, "x" * 129])
def test_password_length_is_limited(password: str) -> None:
    assert strength_problem(password) == "The password must have 12 to 128 characters."


@pytest.mark.parametrize(
    "password",
    [
        *(
            "password1234",
            "P@ssw0rd1234",
            "PASSWORD-1234",
            "Passw0rd!Passw0rd!",
            "p.a.s.s.w.o.r.d.1.2.3"[:12] + "password",
        ),
        *(
            "qwertyuiop123",
            "1q2w3e4r5t6y",
            "123456789012",
            "987654321098",
            "aaaaaaaaaaaa",
            "abcdefghijkl",
            "abcabcabcabc",
        ),
        *("letmeinletmein", "iloveyou12345", "trustno1trustno1", "Summer2026!!!", "Welcome12345!", "administrator1"),
        *("monkeydragon12", "drowssap4321", "football123456"),
        *("dragonmonkeyfootball", "football-baseball-hockey", "princess 123 sunshine", "mypasswordismypassword"),
        *("P@ssw0rd123P@ssw0rd", "january123february", "password is password"),
    ],
)
def test_common_passwords_are_rejected(password: str) -> None:
    assert "easy to guess" in str(strength_problem(password, CONTEXT))


@pytest.mark.parametrize(
    "password",
    [
        *(
            "olive@example.org",
            "OLIVE@example.org1",
            "0live@ex4mple.org",
            "Olive Owner 2026",
            "Öwner, Olive!!",
            "olive-board-2026",
        ),
        *(
            "Board of Examples",
            "boardofexamples1",
            "B0ard-0f-Examples!",
            "BOARD_OF_EXAMPLES_2027",
            "P-2001 P-2001 P-2001",
        ),
        *("portal.example.org", "notification-portal", "NotificationPortal1", "            ", "------------"),
    ],
)
def test_personal_and_portal_words_are_rejected(password: str) -> None:
    assert "your name, email, account number" in str(strength_problem(password, CONTEXT))


@pytest.mark.parametrize(
    "password",
    [
        *("correct horse battery", "a different long password", "another long one", "quite another password"),
        *(
            "xK9#mQ2$vL7p",
            "9384 2047 6612",
            "пароль надёжный мой",
            "四字熟語を使う合言葉は長い",
            "🙂🙃🦊 three foxes jump",
        ),
        *("monkey-table-ocean-quiet", "blue.kettle.river.stone", "my dog ate the cat", "correcthorsebatterystaple"),
        *("olive trees by the river", "trailing space matters ", "f3c1a97e5b08d264f3e1c0b7"),
    ],
)
def test_unrelated_words_are_accepted(password: str) -> None:
    assert strength_problem(password, CONTEXT) is None


@pytest.mark.parametrize(
    "password", ["4@8({[<369&#!1/|0$5+7%2" * 5, "1234567890!$@([{<|+%" * 6, "l1I|!" * 25, "p@$$w0rd" * 16]
)
def test_every_password_is_checked_quickly(password: str) -> None:
    strength_problem("correct horse battery", CONTEXT)  # reads the lists
    began = time.process_time()
    strength_problem(password, CONTEXT)
    assert time.process_time() - began < 3
