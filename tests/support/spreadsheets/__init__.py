"""Workbooks and recipient files for tests."""
