"""Shows a run while it goes on, and lets people touch it: progress, terminal, page."""
