"""A picture and its mask before anything is paid: what is wrong, what looks wrong, what comes of them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import __version__ as pillow_version
from PIL.ExifTags import Base as Tag

from batchfill._version import __version__
from batchfill.domain.drawn_masks import NOTHING, DrawnMask
from batchfill.domain.findings import Finding, FindingKind, Severity, Sizes
from batchfill.errors import BadPicture
from batchfill.images.codec.colors import to_grey, without_alpha
from batchfill.images.codec.open import (
    FORMATS,
    apply_orientation,
    is_rotated,
    is_turned,
    open_image,
    refuse_animation,
    turned_text,
)
from batchfill.images.preflight.inspection import Inspection, InspectTask, PictureSource
from batchfill.images.preflight.masks import Strokes, find_specks, find_suspicions
from batchfill.images.preflight.modes import describe_oddity, mask_modes, picture_modes
from batchfill.images.preflight.proportions import find_detail, find_strips
from batchfill.images.prepare.crop import crop_box
from batchfill.images.prepare.enlarge import place_canvas, widen_mask
from batchfill.images.prepare.mask import (
    clean_mask,
    draw_mask,
    refuse_misfit,
    refuse_partial,
    same_shape,
    scale_mask,
)
from batchfill.images.prepare.mask_values import Greys
from batchfill.images.rights.rights import has_credentials
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

    from batchfill.catalog.pixel_options import Pixels
    from batchfill.catalog.sizes import Size
    from batchfill.domain.enlargement import Enlarged
    from batchfill.domain.rows import Box


class _Frame(NamedTuple):
    """The sizes of a file."""

    size: Size
    """As it will be taken: upright, or as stored where it is not turned."""
    stored: Size
    rotated: bool
    """Whether its EXIF turns it."""


class _Mask(NamedTuple):
    """A decoded mask."""

    image: Image
    """As it will be taken."""
    odd: str | None
    source: PictureSource


def inspection_rules() -> list[str]:
    """Return all that an inspection depends on but its task: this program and its decoders, in words."""
    modules = Path(__file__).parents[1].rglob("*.py")
    stamps = [f"{module.name} {(facts := module.stat()).st_size} {facts.st_mtime_ns}" for module in modules]
    return [__version__, pillow_version, *FORMATS, str(find_spec("pillow_heif") is not None), *sorted(stamps)]


def inspect_files(task: InspectTask) -> Inspection:
    """Decode the files of *task* and say what is to be known of them; never raises for what they hold."""
    look = _Look(task)
    with look.note_mistakes():
        look.open_picture()
    with look.note_mistakes():
        look.open_mask()
    with look.note_mistakes():
        look.read_strokes()
    with look.note_mistakes():
        look.compare_sizes()
    with look.note_mistakes():
        look.enlarge_picture()
    return look.make_inspection()


class _Look:
    """One look at a picture and its mask: what was found so far, and what the next step goes by."""

    def __init__(self, task: InspectTask) -> None:
        self._task = task
        self._found: list[Finding] = []
        self._picture: _Frame | None = None
        self._mask: _Mask | None = None
        self._strokes: Strokes | None = None
        self._fits = False
        self._canvas: Enlarged | None = None

    @contextmanager
    def note_mistakes(self) -> Iterator[None]:
        """Note as a mistake what goes wrong in the body."""
        try:
            yield
        except BadPicture as error:
            self._found.append(Finding(FindingKind(error.kind), Severity.MISTAKE, str(error)))

    def open_picture(self) -> None:
        """Decode the picture to its last byte. Raises BadPicture."""
        source = self._task.picture
        if source is None:
            return
        with open_image(source.path, source.name) as image:
            refuse_animation(image, source.name)
            # Decoding turns a TIFF, and shows whether a PNG is to be turned.
            odd, stored, rotated = describe_oddity(image), image.size, is_rotated(image)
            # An eighth of a JPEG's detail shows as well whether it is whole, in less time and memory.
            image.draft(None, (max(image.width // 8, 1), max(image.height // 8, 1)))
            image.load()
            if source.fitted:
                without_alpha(image.crop((0, 0, 1, 1)), source.name)
            self._found += picture_modes(image, odd, source.name, fitted=source.fitted)
            self._found += _turned_findings(image, source)
            self._found += _credentials_findings(image, source, self._task.pixels)
            upright = stored if source.remote or not is_turned(image) else stored[::-1]
            self._picture = _Frame(upright, stored, rotated or is_rotated(image))

    def open_mask(self) -> None:
        """Decode the mask. Raises BadPicture."""
        source = self._task.mask
        if isinstance(source, DrawnMask):
            self._refuse_turned()
            source = self._task.picture if source.is_alpha else None
        if source is None:
            return
        with open_image(source.path, source.name) as image:
            refuse_animation(image, source.name)
            odd = describe_oddity(image)
            image.load()
            mask = image.copy() if source.remote else apply_orientation(image)
            to_grey(mask.crop((0, 0, 1, 1)), source.name)
            self._found += _turned_findings(image, source)
        self._mask = _Mask(mask, odd, source)

    def read_strokes(self) -> None:
        """Find out what the mask fills. Raises BadPicture: nothing, everything, or some of it in part."""
        drawn = self._task.mask
        if isinstance(drawn, DrawnMask) and not drawn.is_alpha:
            self._draw_strokes(drawn)
        if self._mask is None:
            return
        (mask, odd, source), pixels = self._mask, self._task.pixels
        try:
            hole = clean_mask(mask, pixels, source.name)
            refuse_partial(mask, hole, pixels, source.name)
        except BadPicture as error:
            greys = _greys_text(mask, source, error.kind) if pixels.mask_from == "white" else ""
            raise BadPicture(f"{error}{greys}", kind=error.kind) from error
        self._strokes = Strokes(hole, source.name, pixels.mask_from, source.fitted)
        self._found += find_suspicions(self._strokes)
        self._found += mask_modes(mask, odd, source.name, pixels.mask_from, fitted=source.fitted)

    def _refuse_turned(self) -> None:
        """Raise BadPicture for a turned picture that is sent as it is: what is drawn on it is upright."""
        source, frame = self._task.picture, self._picture
        if source is not None and frame is not None and frame.rotated and not source.fitted:
            raise BadPicture(turned_text(source.name), kind="turned")

    def _draw_strokes(self, drawn: DrawnMask) -> None:
        """Draw the mask on the picture. Raises BadPicture: it fills nothing, or everything."""
        source, frame = self._task.picture, self._picture
        if source is None or frame is None or drawn.is_nothing:
            return
        self._strokes = Strokes(Greys(draw_mask(drawn, frame.size)), drawn.name, "", source.fitted)
        if drawn.reaches_outside(*frame.size):
            text = f"{drawn.name} reaches beyond its picture, which is {frame.size[0]}x{frame.size[1]}"
            text += ": what lies outside of it is left out"
            self._found.append(Finding(FindingKind.CLIPPED, Severity.WARNING, text))

    def compare_sizes(self) -> None:
        """Compare the sizes. Raises BadPicture for a mask of another shape."""
        if self._mask is None or self._picture is None:
            return
        (mask, _, source), own = self._mask, self._picture.size
        try:
            refuse_misfit(own, mask.size, self._task.pixels, source.name)
        except BadPicture as error:
            side = self._picture.stored != own and same_shape(self._picture.stored, mask.size)
            raise BadPicture(f"{error}{_ON_ITS_SIDE if side else ''}", kind=error.kind) from error
        self._fits = True
        if mask.size != own:
            self._found.append(_scaled_mask(own, mask.size, source))

    def enlarge_picture(self) -> None:
        """Find the canvas of a picture that is enlarged. Raises BadPicture: too large, or nothing is new."""
        task = self._task
        if self._picture is not None and task.mask is not None:
            has_mask = task.mask != NOTHING
            self._canvas = place_canvas(task.pixels, self._picture.size, has_mask=has_mask)

    def make_inspection(self) -> Inspection:
        """Return all that was found, and what comes of the two files."""
        own = self._own_size()
        filled = None if own is None else self._filled(own)
        if filled is None or own is None:
            scale = own and self._picture and self._sizes_of(own, None)
            if scale:
                self._found += self._shape_findings(scale, None)
            return Inspection(tuple(self._found), scale)
        hole = filled.image
        box = self._crop_box(own, hole)
        scale = self._sizes_of(own, box)
        part = hole if box is None else hole.crop(box)
        specks = [] if self._strokes is None else list(find_specks(part, scale.generated, self._strokes))
        # Of a few specks too much is lost to speak of detail.
        self._found += [*specks, *self._shape_findings(scale, None if specks else hole)]
        return Inspection(tuple(self._found), scale if self._picture else None, filled.cover)

    def _filled(self, own: Size) -> Greys | None:
        """Return what is filled of the picture, or of its canvas, in white; None: not known."""
        strokes, drawn = self._strokes, self._task.mask
        if strokes is not None:
            hole = _grow_mask(scale_mask(strokes.hole.image, own), self._task.pixels.mask_grow)
        elif self._canvas is not None and isinstance(drawn, DrawnMask) and drawn.is_nothing:
            hole = draw_mask(drawn, own)
        else:
            return None
        if self._canvas is not None:
            hole = widen_mask(hole, self._canvas)
        return strokes.hole if strokes is not None and hole is strokes.hole.image else Greys(hole)

    def _shape_findings(self, scale: Sizes, hole: Image | None) -> Iterator[Finding]:
        """Say what the model makes of a strip, and what would keep the detail of a large picture."""
        source, task = self._task.picture, self._task
        if source is None or self._picture is None:
            return
        yield from find_strips(scale, source.name)
        detail = hole is not None and task.pixels.area == "whole" and self._canvas is None
        if hole is not None and detail and source.fitted and task.rule is not None:
            box = crop_box(scale.picture, hole, replace(task.pixels, area="mask"), task.rule, task.inputs)
            yield from find_detail(scale, box and self._sizes_of(scale.picture, box), source.name)

    def _own_size(self) -> Size | None:
        """Return the picture's size; the mask's where the picture cannot be looked at."""
        if self._picture is not None:
            return self._picture.size if self._fits or self._mask is None else None
        return self._mask.image.size if self._mask is not None else None

    def _crop_box(self, own: Size, hole: Image) -> Box | None:
        task = self._task
        return crop_box(own, hole, task.pixels, task.rule, task.inputs) if self._picture else None

    def _sizes_of(self, own: Size, box: Box | None) -> Sizes:
        rule, inputs = self._task.rule, self._task.inputs
        area = None if box is None else (box[2] - box[0], box[3] - box[1])
        canvas = None if self._canvas is None else self._canvas.size
        leader = self._task.picture or self._task.mask
        if rule is None or not isinstance(leader, PictureSource):
            return Sizes(own, area, None, canvas)
        sent = rule.fitting_size(*(area or canvas or own), inputs) if leader.fitted else own
        return Sizes(own, area, rule.generated_size(*sent, inputs), canvas)


_ON_ITS_SIDE = ". The picture lies on its side in its file and is turned as its EXIF says: turn the mask too"


def _turned_findings(image: Image, source: PictureSource) -> Iterator[Finding]:
    if not source.fitted and image.getexif().get(Tag.Orientation, 1) != 1:
        text = f"{source.name} is to be turned as its EXIF says, which the service does not do"
        yield Finding(FindingKind.TURNED, Severity.WARNING, f"{text}: save it upright")


def _credentials_findings(image: Image, source: PictureSource, pixels: Pixels) -> Iterator[Finding]:
    if pixels.finish != "exact" or source.remote:
        return
    with open_regular(source.path) as file:
        found = has_credentials(image, file)
    if found:
        text = f"{source.name} has Content Credentials, which prove its pixels as they are"
        yield Finding(FindingKind.CREDENTIALS, Severity.NOTE, f"{text}: the finished picture is without them")


def _greys_text(mask: Image, source: PictureSource, kind: str) -> str:
    """Name the grey of a mask that counts as black or as white all over, if it is neither."""
    darkest, lightest = to_grey(mask, source.name).getextrema()
    if kind == "empty" and lightest:
        text, others = f"lightest grey is {lightest} of 255 and counts as black", "nonzero or auto"
    elif kind == "full" and darkest != lightest:
        text, others = f"darkest grey is {darkest} of 255 and counts as white", "auto"
    else:
        return ""
    return f". Its {text}, unless you set mask_from: {others}" if source.fitted else f". Its {text}"


def _scaled_mask(picture: Size, mask: Size, source: PictureSource) -> Finding:
    sizes = f"{source.name} is {mask[0]}x{mask[1]}, its picture {picture[0]}x{picture[1]}"
    if not same_shape(picture, mask):
        text = f"{sizes}: mask_fit: resize stretches the mask"
        return Finding(FindingKind.SHAPE, Severity.WARNING, text)
    scaled_by = "the mask is scaled" if source.fitted else "the service scales the mask"
    return Finding(FindingKind.SIZE, Severity.WARNING, f"{sizes}: {scaled_by}")


def _grow_mask(hole: Image, reach: int) -> Image:
    if not reach:
        return hole
    from batchfill.images.prepare.grow import grow_mask  # numpy is loaded for those who need it

    return grow_mask(hole, reach)
