"""What people call the columns of pictures, masks and prompts, in their own words and languages."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from batchfill.catalog.model import Model


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MASK = _words(
    "mask masks maske masken masque mascara maschera masker masky maska maszk naamio matte alpha "
    "маска máscara máscaras μάσκα マスク 蒙版 遮罩 掩码 掩膜 掩模 마스크 قناع מסכה मास्क"
)
_PROMPT = _words(
    "prompt prompts promt text texte texto testo tekst txt caption captions title titel description "
    "descriptions beschreibung aufforderung anweisung instruction instructions descripcion descrição "
    "descricao descrizione omschrijving beskrivning beskrivelse opis popis kuvaus leírás açıklama invite "
    "описание промпт текст подпись запрос περιγραφή プロンプト 説明 指示 提示词 提示詞 提示 描述 说明 "
    "프롬프트 설명 وصف תיאור विवरण"
)
_IMAGE = _words(
    "image images img imgs picture pictures pic pics photo photos foto fotos photograph bild bilder grafik "
    "imagen imágenes imagem imagens immagine immagini afbeelding afbeeldingen beeld obraz obrazek zdjęcie "
    "zdjecie obrázek fotka kuva kép fotó resim görsel bilde billede imagine poza slika "
    "изображение картинка фото фотография зображення εικόνα φωτογραφία 画像 写真 图像 图片 圖片 圖像 照片 "
    "이미지 사진 صورة תמונה चित्र"
)
_ROLES = (("mask", _MASK), ("prompt", _PROMPT), ("image", _IMAGE))
"""Masks first: a column of mask images is one of masks."""

_PLACES = _words(
    "path paths file files filename filenames filepath url urls uri link href src source name input "
    "pfad datei dateiname dateipfad quelle ruta archivo fichier chemin nom caminho arquivo percorso "
    "путь файл ссылка"
)
"""Words that say how a file is named; by themselves they are mostly of the picture's column."""

_NO_FILE = _words("name nom source quelle link input")
"""Those of them that may be anything where no other word is there."""

_LAST_WITH_SPACES = "\u2e80"
"""Scripts beyond this one, which are those of East Asia, mostly write words without spaces between."""

_SEVERAL = re.compile(r"[,;\t|]")
"""What is between names, where a table was parted in the wrong places."""

_PARTS = re.compile(r"[^\W\d_]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def find_meant_columns(names: Iterable[str], lacking: Iterable[str], model: Model) -> Mapping[str, str]:
    """Return, for inputs of *model* that are *lacking*, which of the columns *names* is most likely meant."""
    fields = {"image": model.image_field, "mask": model.mask_field, "prompt": model.prompt_field}
    wanted = set(lacking)
    found: dict[str, str] = {}
    for name in names:
        field = fields.get(_role_of(name) or "")
        if field in wanted:
            found.setdefault(field, name)
    return found


def _role_of(name: str) -> str | None:
    """Return `image`, `mask` or `prompt` where *name* is a word for it; None where it may be anything."""
    if _SEVERAL.search(name):
        return None
    folded = unicodedata.normalize("NFKC", _HUMP.sub(" ", name.strip())).casefold()
    parts = set(_PARTS.findall(folded))
    words = parts - _PLACES
    if not words:
        return "image" if parts and not parts <= _NO_FILE else None
    for role, known in _ROLES:
        if words & known and words <= known | _IMAGE:
            return role
        # Without spaces between words, a part of the name is enough.
        if any(word in folded for word in known if word > _LAST_WITH_SPACES):
            return role
    return None
