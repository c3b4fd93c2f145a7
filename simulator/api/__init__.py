"""The parts of Twilio's REST API that sending and receiving texts needs."""
