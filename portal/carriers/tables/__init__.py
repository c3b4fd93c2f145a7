"""Queries for changes to accounts."""
