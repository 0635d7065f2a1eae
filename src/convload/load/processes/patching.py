"""Leaves plug-ins of gevent's patching out: for each of 25 events it would look through all installed packages."""

from gevent import events

events.notify_and_call_entry_points = events.notify
