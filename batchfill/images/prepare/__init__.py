"""A picture and its mask, made ready to send.

A *mask* is what is filled of a picture. To *grow* it is to let it reach beyond itself. A *crop* is the part
that is sent. To *fit* is to turn, scale and encode both.
"""
