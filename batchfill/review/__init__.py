"""The review page, its server, and the report.

The *document* is the one JSON that the page reads. The *feed* keeps it fresh. *Thumbnails* are small
copies; *assets* are the page's own files. *Auth* lets one browser in. A *decision* is what the page says of
a picture. *Statistics* are how the run went.
"""
