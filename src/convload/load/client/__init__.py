"""The HTTP client of a user, and its way in: connections, TLS, where to fire, tokens."""
