"""Communications and deliveries: their states, lanes and history."""
