"""Fires the load: the only room that imports locust and gevent."""
