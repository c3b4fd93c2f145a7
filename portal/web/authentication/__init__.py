"""Pages that prove who somebody is, and show where they are signed in."""
