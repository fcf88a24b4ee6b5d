"""What a picture says of where it comes from, and whose it is.

*XMP* and *Photoshop resources* (IPTC) say it; *Content Credentials* prove it, until a pixel changes. The
*mark* says that AI edited the picture. A *segment* is a part of a JPEG, a *chunk* one of a PNG or WebP.
"""
