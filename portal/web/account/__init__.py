"""Pages that every signed-in person has, and sign-in."""
