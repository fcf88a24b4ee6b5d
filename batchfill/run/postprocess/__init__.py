"""Outputs that are fetched become finished pictures.

The *postprocessor* makes composites and flags, and puts them in their places.
"""
