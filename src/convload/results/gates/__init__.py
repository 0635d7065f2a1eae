"""Gates: what a run must keep to, as text that is parsed before it starts and judged by what was measured."""
