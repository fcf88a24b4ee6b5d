"""Faults on demand.

A *rule* says which call goes wrong and how; *kinds* are what can. A *fault plan* is a file of rules.
*Injection* carries faults out. *Failures* are the errors that the service documents.
"""
