"""Rows that are due become predictions.

The *submitter* writes an intent and sends one create; the *answer* is recorded, with what follows from it.
The *resender* sends a create again whose answer was lost, where its key allows it. *Inputs* are prepared
before the intent. *Admission* decides when one more create may be made. The *rate report* says what the
service allows.
"""
