"""`python -m batchfill`."""

from batchfill.cli import main

main()
