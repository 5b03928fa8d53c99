"""How people sign in: at an OpenID provider, and into a session of this service.

Which requests are signed, and by whom, stands in `app.signing`; programs have tokens.
"""
