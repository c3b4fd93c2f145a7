"""The SMS and email workers: claim, send, record; receipts, reconciliation and maintenance."""
