"""Notifications about a run.

The *notifier* tells of an end, a stop and a *stall*, in which nothing moves. A *webhook* receives
*messages*.
"""
