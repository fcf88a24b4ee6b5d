"""Bounds that only a failing test reaches.

A process, an answer or a page *hangs* when it takes longer. What an ended process did last *straggles*.
"""

from __future__ import annotations

HANGS = 300
"""Seconds after which what a test waits for is taken never to come; a busy machine takes a while."""

STRAGGLES = 30
"""Seconds for which what an ended process did last may still be on its way."""
