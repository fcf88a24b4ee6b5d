"""Outputs of predictions that succeeded.

The *downloader* fetches them while the service has them, oldest first.
"""
