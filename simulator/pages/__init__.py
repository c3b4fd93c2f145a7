"""What a person sees: handsets, the mailbox, the faults. Every page works without JavaScript."""
