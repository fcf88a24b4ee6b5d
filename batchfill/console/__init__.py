"""Text for people: all that is printed.

*Live* is a terminal's region, *plain* are lines for a pipe. Each report has a module that renders it. The
*format* of money, time and counts is in one place.
"""
