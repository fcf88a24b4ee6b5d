from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchfill.catalog.other_names import find_meant_columns

if TYPE_CHECKING:
    from batchfill.catalog.model import Model

FIELDS = ("image", "mask", "prompt")


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        ("bild maske text", "bild maske text"),
        ("Bild Maske Beschreibung", "Bild Maske Beschreibung"),
        ("画像 マスク プロンプト", "画像 マスク プロンプト"),
        ("写真 マスク画像 プロンプト文", "写真 マスク画像 プロンプト文"),
        ("图片路径 蒙版 提示词", "图片路径 蒙版 提示词"),
        ("изображение маска описание", "изображение маска описание"),
        ("imagen máscara texto", "imagen máscara texto"),
        ("photo masque texte", "photo masque texte"),
        ("filename mask_path caption", "filename mask_path caption"),
        ("file_name mask_file_name text", "file_name mask_file_name text"),
        ("imagePath maskUrl promptText", "imagePath maskUrl promptText"),
        ("Image-URL Mask-URL Image-Description", "Image-URL Mask-URL Image-Description"),
        ("image2 mask_image Prompt", "image2 mask_image Prompt"),
        ("DATEI MASKENDATEI TITEL", "DATEI - TITEL"),
        ("name source colour", "- - -"),
        ("bildung unmasked context", "- - -"),
        ("image_mask_prompt image;mask", "- - -"),
    ],
)
def test_names_in_other_words_and_languages_are_understood(names: str, meant: str, dev: Model) -> None:
    found = find_meant_columns(names.split(), FIELDS, dev)

    assert [found.get(field, "-") for field in FIELDS] == meant.split()


def test_only_what_is_lacking_is_looked_for_and_the_first_name_counts(dev: Model) -> None:
    assert find_meant_columns(["foto", "bild", "maske"], ["image"], dev) == {"image": "foto"}
    assert find_meant_columns(["foto", "bild", "maske"], [], dev) == {}
