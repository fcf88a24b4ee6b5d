"""A picture and its mask before anything is paid: what is wrong, what looks wrong, what comes of them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from PIL.ExifTags import Base as Tag

from batchfill.catalog.pixel_options import Pixels
from batchfill.domain.findings import Finding, FindingKind, Severity, Sizes
from batchfill.errors import BadPicture
from batchfill.images.codec.colors import to_grey, without_alpha
from batchfill.images.codec.open import apply_orientation, is_turned, open_image, refuse_animation
from batchfill.images.preflight.masks import Strokes, find_specks, find_suspicions
from batchfill.images.preflight.modes import describe_oddity, mask_modes, picture_modes
from batchfill.images.prepare.crop import crop_box
from batchfill.images.prepare.mask import clean_mask, refuse_misfit, same_shape, scale_mask
from batchfill.images.rights.rights import has_credentials
from batchfill.regular_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from PIL.Image import Image

    from batchfill.catalog.sizes import Size, SizeRule
    from batchfill.domain.rows import Box, Input


@dataclass(frozen=True, slots=True)
class PictureSource:
    """One file to look at."""

    path: Path
    name: str
    """What messages call it."""
    fitted: bool = True
    """Whether it is turned and scaled before it is sent; else it is sent as it is."""
    remote: bool = False
    """Whether the service fetches it, and turns nothing."""


@dataclass(frozen=True, slots=True)
class InspectTask:
    """The picture and the mask of a row; either is None when it cannot be looked at."""

    picture: PictureSource | None
    mask: PictureSource | None
    pixels: Pixels = field(default_factory=Pixels)
    rule: SizeRule | None = None
    """What the model does to sizes; None where it is not known."""
    inputs: Mapping[str, Input] = field(default_factory=dict)
    """The model's inputs, for the rule."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What became of a InspectTask."""

    findings: tuple[Finding, ...]
    scale: Sizes | None = None
    """None where the picture is not known."""
    cover: float | None = None
    """The share of the picture that is filled; None where no mask is known to be right."""

    @property
    def mistakes(self) -> list[Finding]:
        """The findings with which a row cannot be run."""
        return [finding for finding in self.findings if finding.severity is Severity.MISTAKE]


class _Frame(NamedTuple):
    """The sizes of a file."""

    size: Size
    """As it will be taken: upright, or as stored where nobody turns it."""
    stored: Size


class _Mask(NamedTuple):
    """A decoded mask."""

    image: Image
    """As it will be taken."""
    odd: str | None
    source: PictureSource


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
            odd, stored = describe_oddity(image), image.size
            # An eighth of a JPEG's detail shows as well whether it is whole, in less time and memory.
            image.draft(None, (max(image.width // 8, 1), max(image.height // 8, 1)))
            image.load()
            if source.fitted:
                without_alpha(image.crop((0, 0, 1, 1)), source.name)
            self._found += picture_modes(image, odd, source.name, fitted=source.fitted)
            self._found += _turned_findings(image, source)
            self._found += _credentials_findings(image, source, self._task.pixels)
            upright = stored if source.remote or not is_turned(image) else stored[::-1]
            self._picture = _Frame(upright, stored)

    def open_mask(self) -> None:
        """Decode the mask. Raises BadPicture."""
        source = self._task.mask
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
        """Find out what the mask fills. Raises BadPicture: nothing, everything, or nobody can tell."""
        if self._mask is None:
            return
        (mask, odd, source), pixels = self._mask, self._task.pixels
        try:
            hole = clean_mask(mask, pixels, source.name)
        except BadPicture as error:
            dark = error.kind == "empty" and pixels.mask_from == "white"
            raise BadPicture(
                f"{error}{_darkness_text(mask, source) if dark else ''}", kind=error.kind
            ) from error
        self._strokes = Strokes(hole, source.name, pixels.mask_from, source.fitted)
        self._found += find_suspicions(self._strokes)
        self._found += mask_modes(mask, odd, source.name, pixels.mask_from, fitted=source.fitted)

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

    def make_inspection(self) -> Inspection:
        """Return all that was found, and what comes of the two files."""
        strokes, own = self._strokes, self._own_size()
        if strokes is None or own is None:
            scale = own and self._picture and self._sizes_of(own, None)
            return Inspection(tuple(self._found), scale)
        hole = _grow_mask(scale_mask(strokes.hole, own), self._task.pixels.mask_grow)
        box = self._crop_box(own, hole)
        scale = self._sizes_of(own, box)
        part = hole if box is None else hole.crop(box)
        self._found += find_specks(part, scale.generated, strokes)
        counts = hole.histogram()
        cover = sum(counts[128:]) / sum(counts)
        return Inspection(tuple(self._found), scale if self._picture else None, cover)

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
        leader = self._task.picture or self._task.mask
        if rule is None or leader is None:
            return Sizes(own, area, None)
        sent = rule.fitting_size(*(area or own), inputs) if leader.fitted else own
        return Sizes(own, area, rule.generated_size(*sent, inputs))


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


def _darkness_text(mask: Image, source: PictureSource) -> str:
    """Say how light the lightest grey of a mask is that counts as black all over, if it is not black."""
    lightest = to_grey(mask, source.name).getextrema()[1]
    return f". Its lightest grey is {lightest} of 255: what is to be filled must be white" if lightest else ""


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
