"""Schedules: sends at a time, again and again, or on a date of each person."""
