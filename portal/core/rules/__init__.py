"""Pure rules that several packages share: no Flask, no database, no clock, no network."""
