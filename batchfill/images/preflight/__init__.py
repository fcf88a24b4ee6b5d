"""A picture and its mask, inspected before anything is paid.

An *inspection* finds what is wrong and what looks wrong. *Masks* are judged by what they fill, *modes* by
how their pixels are stored.
"""
