"""Rows that are due become predictions.

The *submitter* writes an intent, sends one create, records its answer. *Inputs* are prepared before the
intent. *Admission* decides when one more create may be made. The *rate report* says what the service
allows.
"""
