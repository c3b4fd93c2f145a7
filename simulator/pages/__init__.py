"""The pages: handsets, the mailbox and the faults. Every page works without JavaScript."""
