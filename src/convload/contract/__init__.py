"""The Connector API as types and rules: requests, their order, answers, refusals, paths."""
