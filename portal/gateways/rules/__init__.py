"""Pure rules about providers: their settings, codes, signatures and message formats."""
