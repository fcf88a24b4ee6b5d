"""Databases that are no ledger: what they hold can be found out again.

The *file memory* is what checks saw of files. The *object listing* is what buckets hold, while rows are read.
"""
