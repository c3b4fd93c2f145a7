"""Tables and queries of the consent ledger and inbound texts."""
