"""What may be wrong with an output.

A *flag* is a word for it. To *compare* is to hold an output against what was sent. *Drift* is a change
outside the mask; a *seam* is a step along its border. *Thresholds* say where each begins.
"""
