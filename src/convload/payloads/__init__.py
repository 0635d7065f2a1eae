"""Payload variants as data: read from a folder, compiled once, built again from seed and index."""
