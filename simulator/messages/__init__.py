"""Text messages in both directions, and how the simulated mobile network carries them."""
