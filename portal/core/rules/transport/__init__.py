"""Connections to other machines: when they must be encrypted and verified, and which addresses they may go to."""
