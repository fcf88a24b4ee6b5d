"""The command line.

A *command* turns arguments into settings, lets a batch do the work, and ends with an exit code. *Options*
are the flags that commands share.
"""
