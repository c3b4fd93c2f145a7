"""Figures of the dashboard, and alerts."""
