"""The guides of docs/guide, and which part of them helps with which page."""
