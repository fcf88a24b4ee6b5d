"""A manifest becomes rows.

A *manifest* is the user's file: settings and rows. A *column* is what a cell is for. *Validation* turns a
record into a row or a mistake. A *fingerprint* says what a row asks for. *Pairing* makes a manifest of two
folders.
"""
