"""Everything that can be known before paying.

A *check* reads rows, inspects *pictures*, counts *findings*, and asks the provider. *Remote* files are at
addresses. *Remembered* files were seen by an earlier check.
"""
