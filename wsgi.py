"""The WSGI entry point for gunicorn."""

from portal import create_app

app = create_app()
