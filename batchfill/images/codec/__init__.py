"""Picture files: opened, decoded, turned to colors, made small.

To *open* is to recognise a format within limits; to *decode* is to read every pixel. A *thumbnail* is a
small copy. A PNG is *packed* in strips of rows. *Shapes* are boxes and polygons that are drawn instead of
read.
"""
