"""Who is signed in, and how they proved it: sessions, second factors, passkeys, single sign-on."""
