"""The outside world on one machine: Twilio's Messages API with handsets on screen, and a mailbox.

It speaks HTTP and SMTP only and knows nothing of the product it stands around. Nothing here leaves this machine.
"""
