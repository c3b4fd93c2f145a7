"""Pure rules about messages: text size, modes and conflicting reports."""
