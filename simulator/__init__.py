"""A local stand-in for Twilio's Messages API, handsets and a mail server.

It talks to the application only over HTTP and SMTP, imports none of its code, and sends nothing off this machine.
"""
