"""Queries for sessions and second factors."""
