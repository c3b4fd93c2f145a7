"""When and how often a person may be texted: quiet hours and the frequency cap."""
