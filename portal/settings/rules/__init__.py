"""Pure rules about settings: what each may hold and what they mean together."""
