"""Heavy work next to the event loop.

A *task* is a frozen value; a *worker* is a process that answers it. The *pool* keeps as many as there are
cores.
"""
