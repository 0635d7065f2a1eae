"""convload: load and performance testing of the create-conversation call of LivePerson's Connector API."""

__version__ = "0.1.0"
