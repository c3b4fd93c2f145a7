"""The public pages about texts, and the pack for the registration with carriers."""
