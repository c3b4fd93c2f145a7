"""What gunicorn serves."""

from portal import create_app

app = create_app()
