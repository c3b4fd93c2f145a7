"""Sends, and what they are made from: audiences, schedules and files of recipients."""
