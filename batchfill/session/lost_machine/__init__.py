"""A batch whose machine may be lost.

A start that *mirrors* the batch makes it its own. One that *takes it over* shuts out the run that had it.
"""
