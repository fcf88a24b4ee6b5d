from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from batchfill.catalog.pixel_options import Pixels
from batchfill.domain.drawn_masks import NOTHING, read_drawn_mask
from batchfill.domain.findings import FindingKind, Severity, Sizes
from batchfill.images.preflight.inspect import inspect_files
from batchfill.images.preflight.inspection import InspectTask, PictureSource
from batchfill.images.rights import chunks, jpeg_segments
from batchfill.images.rights.chunks import Chunk
from batchfill.images.rights.jpeg_segments import Segment
from tests.support.models import DEV, known_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchfill.images.preflight.inspection import Inspection

    Save = Callable[..., Path]

MODEL = known_model(DEV)
RULE = MODEL.size_rule


def look(picture: Path | None, mask: Path | None, *, remote: bool = False, **pixels: Any) -> Inspection:
    """Judge files as they stand for a row with these pixel settings."""
    sources = [
        None if path is None else PictureSource(path, path.name, fitted=not remote, remote=remote)
        for path in (picture, mask)
    ]
    # As it is handed to another process.
    task = pickle.loads(pickle.dumps(InspectTask(sources[0], sources[1], Pixels(**pixels), RULE)))
    answer: Inspection = pickle.loads(pickle.dumps(inspect_files(task)))
    return answer


def told(judgement: Inspection) -> list[tuple[str, str]]:
    return [(finding.severity.value, finding.kind.value) for finding in judgement.findings]


def text(judgement: Inspection) -> str:
    (finding,) = judgement.findings
    return finding.text


def disc(size: tuple[int, int], radius: int) -> Image.Image:
    mask = Image.new("L", size)
    middle = (size[0] // 2, size[1] // 2)
    ImageDraw.Draw(mask).ellipse([*(m - radius for m in middle), *(m + radius for m in middle)], fill=255)
    return mask


def test_a_good_pair_has_nothing_to_say(photo: Image.Image, mask: Image.Image, save: Save) -> None:
    found = look(save(photo, "a.jpg"), save(mask, "m.png"))
    assert found.findings == ()
    assert found.scale == Sizes((96, 64), None, (1248, 832))
    assert found.cover == pytest.approx(33 * 22 / (96 * 64))


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA"])
def test_masks_of_usual_modes_are_good(photo: Image.Image, mask: Image.Image, mode: str, save: Save) -> None:
    assert look(save(photo, "a.png"), save(mask.convert(mode), "m.png")).findings == ()


# A mask by itself


@pytest.mark.parametrize(
    ("grey", "source", "kind", "message"),
    [
        (
            0,
            "white",
            "empty",
            "m.png is black all over: nothing would be filled; draw what is to be filled white",
        ),
        (
            255,
            "white",
            "full",
            "m.png is white all over: everything would be filled; draw what is to be kept black",
        ),
        (
            255,
            "black",
            "empty",
            "m.png is white all over: nothing would be filled; draw what is to be filled black",
        ),
        (
            0,
            "black",
            "full",
            "m.png is black all over: everything would be filled; draw what is to be kept white",
        ),
    ],
)
def test_a_mask_of_one_grey_is_a_mistake(grey: int, source: str, kind: str, message: str, save: Save) -> None:
    found = look(None, save(Image.new("L", (90, 90), grey), "m.png"), mask_from=source)
    assert told(found) == [("mistake", kind)]
    assert text(found) == message
    assert (found.cover, len(found.mistakes)) == (None, 1)


def test_a_mask_of_zeros_and_ones_is_told_how_dark_it_is(mask: Image.Image, save: Save) -> None:
    found = look(None, save(mask.point([0] * 255 + [1]), "m.png"))
    assert "Its lightest grey is 1 of 255 and counts as black" in text(found)


def test_more_white_than_black_is_suspicious(mask: Image.Image, save: Save) -> None:
    path = save(ImageOps.invert(mask), "m.png")
    found = look(None, path)
    assert told(found) == [("warning", "polarity")]
    assert text(found) == (
        "m.png is 88% white, and white is what gets filled: is it inverted? If so, set mask_from: black"
    )
    for source in ("black", "auto"):
        assert look(None, path, mask_from=source).findings == ()


def test_an_empty_layer_of_which_everything_but_the_strokes_would_be_filled_is_suspicious(
    mask: Image.Image, save: Save
) -> None:
    layer = Image.new("RGBA", mask.size)
    layer.paste((250, 30, 200, 255), mask=mask)
    found = look(None, save(layer, "m.png"), mask_from="alpha")
    assert "88% transparent, and transparent is what gets filled" in text(found)
    assert text(found).endswith("If so, set mask_from: auto")


def test_a_photograph_in_place_of_a_mask_is_a_mistake(photo: Image.Image, save: Save) -> None:
    found = look(None, save(photo, "m.png"))
    assert told(found) == [("mistake", "grey")]
    assert text(found).startswith(
        "m.png is grey over most of it, as a photograph or a gradient is, and no mask"
    )


def test_a_mask_with_much_grey_between_black_and_white_is_suspicious(save: Save) -> None:
    sides = Image.new("L", (96, 64), 0)
    sides.paste(255, (48, 0, 96, 64))
    assert ("warning", "grey") in told(look(None, save(sides.filter(ImageFilter.GaussianBlur(12)), "m.png")))


def test_a_shape_held_by_transparency_alone_is_a_mistake_until_that_is_what_is_asked_for(
    photo: Image.Image, mask: Image.Image, save: Save
) -> None:
    picture = save(photo, "a.png")
    for colour in (0, 255):
        image = Image.new("LA", mask.size, colour)
        image.putalpha(ImageOps.invert(mask))
        path = save(image.convert("RGBA"), "m.png")
        found = look(picture, path)
        assert told(found) == [("mistake", "alpha")]
        assert "holds its shape in its transparency" in text(found)
        assert "set mask_from: alpha" in text(found)
        assert look(picture, path, mask_from="alpha").findings == ()


@pytest.mark.parametrize("colour", [(0, 0, 0), (250, 30, 200)])
def test_dark_strokes_on_an_empty_layer_are_a_mistake_that_names_the_way_out(
    mask: Image.Image, colour: tuple[int, int, int], save: Save
) -> None:
    layer = Image.new("RGBA", mask.size)
    layer.paste((*colour, 255), mask=mask)
    path = save(layer, "m.png")
    found = look(None, path)
    assert told(found) == [("mistake", "alpha")]
    assert text(found).endswith("or auto")
    assert look(None, path, mask_from="auto").findings == ()


def test_specks_of_which_nothing_is_left_for_the_model_are_suspicious(save: Save) -> None:
    picture = save(Image.new("RGB", (3000, 2000), 90), "a.png")
    dust = Image.new("L", (3000, 2000))
    for n in range(200):
        dust.putpixel((10 * n + 7, 9 * n + 3), 255)
    found = look(picture, save(dust, "m.png"))
    assert told(found) == [("warning", "specks")]
    assert "fills a few specks only, 0 pixels at 1248x832, where the model works" in text(found)
    assert look(picture, save(dust, "m.png"), mask_grow=8).findings == ()


def test_a_small_thing_in_a_large_picture_is_more_than_specks_where_it_is_sent_unscaled(save: Save) -> None:
    picture = save(Image.new("RGB", (6000, 4000), 90), "a.png")
    small = save(disc((6000, 4000), 8), "m.png")
    assert told(look(picture, small)) == [("warning", "specks")]
    assert look(picture, small, area="mask").findings == ()


def test_soft_edges_are_noted_and_smooth_ones_are_not(save: Save) -> None:
    mask = disc((800, 600), 150)
    small = mask.resize((400, 300), Image.Resampling.BOX)
    assert look(None, save(small, "smooth.png")).findings == ()
    assert look(None, save(mask, "traces.jpg", quality=80)).findings == ()
    found = look(None, save(mask.filter(ImageFilter.GaussianBlur(12)), "soft.png"))
    assert told(found) == [("note", "soft")]
    assert "soft edges" in text(found)
    assert "mask_feather" in text(found)


# A mask beside its picture


def test_a_mask_of_another_shape_is_a_mistake_unless_it_is_to_be_stretched(
    photo: Image.Image, save: Save
) -> None:
    picture, mask = save(photo, "a.png"), save(disc((64, 64), 20), "m.png")
    found = look(picture, mask)
    assert told(found) == [("mistake", "shape")]
    assert "m.png is 64x64 but its picture is 96x64: make both the same size" in text(found)
    assert "mask_fit: resize" in text(found)
    assert found.scale is None
    stretched = look(picture, mask, mask_fit="resize")
    assert told(stretched) == [("warning", "shape")]
    assert text(stretched) == "m.png is 64x64, its picture 96x64: mask_fit: resize stretches the mask"


def test_a_scaled_mask_is_a_warning(photo: Image.Image, mask: Image.Image, save: Save) -> None:
    found = look(save(photo, "a.png"), save(mask.resize((48, 32), 0), "m.png"))
    assert told(found) == [("warning", "size")]
    assert text(found) == "m.png is 48x32, its picture 96x64: the mask is scaled"


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_shapes_agree_once_both_are_upright(
    photo: Image.Image, mask: Image.Image, orientation: int, kind: str, save: Save
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = save(photo, f"a.{kind}", exif=exif)
    upright = mask if orientation < 5 else mask.transpose(Image.Transpose.ROTATE_270)
    assert look(picture, save(upright, "m.png")).findings == ()
    assert look(picture, save(mask, "same.png", exif=exif)).findings == ()
    lying = mask if orientation >= 5 else mask.transpose(Image.Transpose.ROTATE_270)
    found = look(picture, save(lying, "other.png"))
    assert told(found) == [("mistake", "shape")]
    # Pillow turns a TIFF before anybody can see how it is stored.
    assert ("lies on its side" in text(found)) is (orientation >= 5 and kind != "tiff")


@pytest.mark.parametrize("orientation", range(2, 9))
def test_what_the_service_fetches_itself_is_turned_by_nobody(
    photo: Image.Image, mask: Image.Image, orientation: int, save: Save
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = look(save(photo, "a.jpg", exif=exif), save(mask, "m.png"), remote=True)
    assert told(found) == [("warning", "turned")]
    assert found.scale == Sizes((96, 64), None, (1248, 832))


# Sizes


def test_the_size_at_which_the_model_works_is_told(save: Save) -> None:
    found = look(save(Image.new("RGB", (4032, 3024)), "a.jpg"), save(disc((4032, 3024), 500), "m.png"))
    assert found.scale == Sizes((4032, 3024), None, (1152, 864))


def test_the_size_of_the_area_is_told(save: Save) -> None:
    picture = save(Image.new("RGB", (4032, 3024)), "a.jpg")
    found = look(picture, save(disc((4032, 3024), 100), "m.png"), area="mask")
    assert found.scale == Sizes((4032, 3024), (1024, 1024), (1024, 1024))


def test_cover_counts_what_the_mask_has_grown_by(photo: Image.Image, mask: Image.Image, save: Save) -> None:
    picture, path = save(photo, "a.png"), save(mask, "m.png")
    plain, grown = look(picture, path), look(picture, path, mask_grow=5)
    assert plain.cover is not None
    assert grown.cover is not None
    assert plain.cover < grown.cover < 1


# Files


def test_both_files_are_reported_at_once(tmp_path: Path) -> None:
    picture, mask = tmp_path / "a.png", tmp_path / "m.png"
    picture.write_text("no picture")
    mask.write_bytes(b"")
    found = look(picture, mask)
    assert [finding.text for finding in found.findings] == ["a.png is text, not a picture", "m.png is empty"]
    assert {(f.kind, f.severity) for f in found.mistakes} == {(FindingKind.UNREADABLE, Severity.MISTAKE)}


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_a_picture_that_is_cut_short_is_a_mistake(mask: Image.Image, kind: str, save: Save) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8))
    picture = save(noise, f"a.{kind}")
    picture.write_bytes(picture.read_bytes()[: -picture.stat().st_size // 3])
    found = look(picture, None)
    assert told(found) == [("mistake", "unreadable")]
    assert "is damaged or cut short" in text(found)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animated_file_is_a_mistake(photo: Image.Image, kind: str, save: Save) -> None:
    more = [ImageOps.invert(photo)]
    path = save(photo, "a.bin", format=kind, save_all=True, append_images=more)
    for found in (look(path, None), look(None, path)):
        assert told(found) == [("mistake", "animated")]


PROOF = b"JP\0\1 c2pa"


@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
def test_proofs_that_a_finished_picture_cannot_keep_are_noted(
    kind: str, photo: Image.Image, save: Save
) -> None:
    path = save(photo, f"hero.{kind}")
    content = path.read_bytes()
    if kind == "jpg":
        content = jpeg_segments.join_jpeg([Segment(0xEB, PROOF), *jpeg_segments.split_jpeg(content)])
    elif kind == "png":
        head, *rest = chunks.split_png(content)
        content = chunks.join_png([head, Chunk(b"caBX", PROOF), *rest])
    else:
        content = chunks.join_webp([*chunks.split_webp(content), Chunk(b"C2PA", PROOF)])
    path.write_bytes(content)
    found = look(path, None, finish="exact")
    assert told(found) == [("note", "credentials")]
    assert text(found).startswith(f"hero.{kind} has Content Credentials")
    assert told(look(path, None)) == []


# The values of a mask


@pytest.mark.parametrize(
    ("dark", "light", "message"),
    [
        (
            0,
            76,
            "draw what is to be filled white. Its lightest grey is 76 of 255 and counts as black, unless you "
            "set mask_from: nonzero or auto",
        ),
        (
            180,
            255,
            "draw what is to be kept black. Its darkest grey is 180 of 255 and counts as white, unless you "
            "set mask_from: auto",
        ),
        (0, 150, "has the grey 150 of 255, which would be filled only in part"),
    ],
)
def test_a_grey_in_the_place_of_black_or_white_is_named_and_auto_reads_it(
    dark: int, light: int, message: str, mask: Image.Image, save: Save
) -> None:
    path = save(mask.point([dark] * 128 + [light] * 128), "m.png")
    found = look(None, path)
    assert [severity for severity, _ in told(found)] == ["mistake"]
    assert message in text(found)
    assert look(None, path, mask_from="auto").findings == ()


# Masks without a file


def draw(picture: Path, words: str, *, fitted: bool = True, **pixels: Any) -> Inspection:
    drawn = read_drawn_mask(words)
    task = InspectTask(PictureSource(picture, picture.name, fitted=fitted), drawn, Pixels(**pixels), RULE)
    return inspect_files(pickle.loads(pickle.dumps(task)))


def test_a_box_needs_no_file_and_its_share_is_known(photo: Image.Image, save: Save) -> None:
    found = draw(save(photo, "a.jpg"), "box:10,20,30,40", mask_from="black")
    assert found.findings == ()
    assert found.cover == pytest.approx(30 * 40 / (96 * 64))
    assert found.scale == Sizes((96, 64), None, (1248, 832))


def test_the_box_around_a_drawn_mask_is_what_is_sent(save: Save) -> None:
    picture = save(Image.new("RGB", (3000, 2000), 90), "a.png")
    found = draw(picture, "box:500,500,300,200", area="mask")
    assert found.scale is not None
    assert found.scale.area is not None
    assert found.scale.area[0] < 1500


@pytest.mark.parametrize(
    ("words", "severity", "kind", "message"),
    [
        ("box:90,60,30,40", "warning", "clipped", "reaches beyond its picture, which is 96x64"),
        (
            "box:10,10,9,9;polygon:-5,-5 20,9 9,20",
            "warning",
            "clipped",
            "what lies outside of it is left out",
        ),
        ("box:96,0,30,40", "mistake", "empty", "box:96,0,30,40 fills nothing of its picture, which is 96x64"),
        ("polygon:1,1 2,2 3,3", "mistake", "empty", "fills nothing of its picture"),
        ("box:-5,-5,300,300", "mistake", "full", "holds all of its picture: everything would be filled"),
    ],
)
def test_a_shape_beyond_its_picture_is_told(
    words: str, severity: str, kind: str, message: str, photo: Image.Image, save: Save
) -> None:
    found = draw(save(photo, "a.png"), words)
    assert (severity, kind) in told(found)
    assert message in " ".join(finding.text for finding in found.findings)


@pytest.mark.parametrize("kind", ["jpg", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_shape_is_drawn_on_the_upright_picture_and_on_none_that_stays_turned(
    orientation: int, kind: str, photo: Image.Image, save: Save
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = save(photo, f"a.{kind}", exif=exif)
    upright = (96, 64) if orientation < 5 else (64, 96)
    found = draw(picture, "box:10,20,30,40")
    assert found.findings == ()
    assert found.scale is not None
    assert found.scale.picture == upright
    for words in ("box:10,20,30,40", "alpha"):
        turned = [one.text for one in draw(picture, words, fitted=False).mistakes if one.kind == "turned"]
        assert len(turned) == (orientation != 1)
        assert all("save it upright, or use send: fitted" in text for text in turned)


def test_what_the_picture_itself_leaves_transparent_is_judged_as_a_mask(
    photo: Image.Image, mask: Image.Image, save: Save
) -> None:
    found = draw(save(photo, "a.png"), "alpha", mask_from="alpha")
    assert [(one.kind, one.text) for one in found.mistakes] == [
        ("alpha", "a.png has no transparency, which alpha takes: set mask_from: white, or name a mask")
    ]
    photo.putalpha(ImageOps.invert(mask))
    found = draw(save(photo, "a.png"), "alpha", mask_from="alpha")
    assert found.mistakes == []
    assert found.cover == pytest.approx(33 * 22 / (96 * 64))


# Strips, and large pictures


@pytest.mark.parametrize(
    ("size", "warned"), [((400, 100), False), ((401, 100), True), ((100, 401), True), ((2000, 40), True)]
)
def test_a_strip_is_told_with_the_size_that_the_model_makes(
    size: tuple[int, int], warned: bool, save: Save
) -> None:
    box = Image.new("L", size)
    box.paste(255, (10, 10, 40, 40))
    found = look(save(Image.new("RGB", size, 90), "a.png"), save(box, "m.png"))
    assert found.scale is not None
    assert found.scale.generated is not None
    made = "x".join(map(str, found.scale.generated))
    texts = [finding.text for finding in found.findings if finding.kind is FindingKind.STRIP]
    assert len(texts) == warned
    assert all(f"the model makes {made} of it" in words for words in texts)


def test_a_large_picture_is_told_that_the_part_around_its_mask_would_keep_its_detail(save: Save) -> None:
    size = (3000, 2000)
    picture = save(Image.new("L", size, 90), "a.png")
    small = save(disc(size, 100).convert("1"), "m.png")
    found = look(picture, small)
    assert told(found) == [("note", "detail")]
    assert "scaled from 3000x2000 to 1248x832: with area: mask the 1024x1024 around its mask" in text(found)
    assert look(picture, small, area="mask").findings == ()
    assert look(picture, small, remote=True).findings == ()
    assert look(picture, save(disc(size, 900).convert("1"), "m.png")).findings == ()


# Larger pictures


def test_a_larger_picture_is_told_with_its_new_size_and_how_much_is_made_up(
    photo: Image.Image, save: Save
) -> None:
    source = PictureSource(save(photo, "a.png"), "a.png")
    found = inspect_files(InspectTask(source, NOTHING, Pixels(aspect="3:1", expand="left=96"), RULE))
    assert found.findings == ()
    assert found.scale == Sizes((96, 64), None, (1760, 576), (192, 64))
    assert found.cover == pytest.approx(0.5)


def test_a_strip_that_is_made_by_enlarging_is_told(photo: Image.Image, save: Save) -> None:
    source = PictureSource(save(photo, "a.png"), "a.png")
    found = inspect_files(InspectTask(source, NOTHING, Pixels(aspect="9:1"), RULE))
    assert text(found).startswith("what is sent of a.png is 576x64, a strip beyond 4:1")
    assert text(found).endswith("enlarge it by less")


@pytest.mark.parametrize("words", ["3:2", "99999:1"])
def test_a_canvas_that_cannot_be_filled_is_a_mistake(photo: Image.Image, save: Save, words: str) -> None:
    source = PictureSource(save(photo, "a.png"), "a.png")
    found = inspect_files(InspectTask(source, NOTHING, Pixels(aspect=words), RULE))
    assert [one.severity for one in found.findings] == [Severity.MISTAKE]
