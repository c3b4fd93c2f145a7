"""Pure rules about consent: keywords, opt-outs in other words, and who receives texts."""
