"""The registration pack."""
