"""The embedded mock: a server that answers as the contract says, or as badly as it is set to."""
