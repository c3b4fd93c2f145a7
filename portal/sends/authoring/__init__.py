"""What the authors of a template try before it is sent: previews, comparisons, and the draft sent to themselves."""
