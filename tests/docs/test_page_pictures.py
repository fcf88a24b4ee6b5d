"""The pictures of the pages are those that their script makes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.docs.page_pictures import DOCS, PICTURES, compose_row
from tests.docs.pages import PAGES, text_of


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_of_the_pages_is_what_its_script_makes(name: str) -> None:
    made = compose_row(PICTURES[name]())
    with Image.open(DOCS / name) as image:
        kept = image.convert("RGBA")
    assert kept.size == made.size
    apart = np.abs(np.asarray(kept, np.int16) - np.asarray(made, np.int16))[..., :3]
    # What is seen through a gap has no colour.
    seen = apart[np.asarray(made)[..., 3] == 255]
    # The file is compressed, and decoders differ a little; another picture differs by far more.
    assert seen.mean() < 4
    assert (seen > 64).mean() < 0.001


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_of_the_pages_is_small_and_shown(name: str) -> None:
    assert (DOCS / name).stat().st_size < 40_000
    assert any(f"]({name})" in text_of(page) for page in PAGES)
