"""Finished pictures go to the user's folder.

The *name template* says what they are called. *Conflicts* are found before the first copy; the *copier*
makes whole files. *Results* are one line a row.
"""
