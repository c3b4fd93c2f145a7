"""Consent: the ledger, inbound texts, invitations, imports and exports."""
