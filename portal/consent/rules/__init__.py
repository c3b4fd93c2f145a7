"""Pure rules about consent: keywords, revocation in plain words, and who receives texts."""
