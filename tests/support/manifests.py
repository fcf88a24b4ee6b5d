"""Parts of a manifest's text.

The *header* names the columns. *URLs* fill those of image and mask.
"""

from __future__ import annotations

HEADER = "id,image,mask,prompt\n"
URLS = "http://x/a.png,http://x/m.png"
