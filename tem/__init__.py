"""Toman Engineering Metrics: settings, schedule, clock and the processes around them.

Nothing is imported here on purpose: the process runner, the keeper and the watchdog live in
this package too and must start in milliseconds, without Django or Celery.
"""
