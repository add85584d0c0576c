"""The figures of the page as small images: svg with its text as text, without what a reader does not see."""

import base64
import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote
from xml.etree import ElementTree

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from PIL import Image

MAX_SVG_BYTES = 150_000
"""A larger figure is embedded as png."""

DENSE = 1_000
SPARSE = 50
"""Where a figure has more points than DENSE, its collections of more than SPARSE become pixels inside the svg."""

DPI = 150
"""Of pixels."""

COLOURS = 64
"""Of pixels, which shrinks them to a third."""

FONTS = "DejaVu Sans,Bitstream Vera Sans,Verdana,sans-serif"
"""Fonts of nearly the widths with which matplotlib has placed the texts."""

SVG = "{http://www.w3.org/2000/svg}"
PNG = "data:image/png;base64,"
LINK = "{http://www.w3.org/1999/xlink}href"
SAFE = " /:;,=()[]{}@!$*+?~|<>'"
"""What stays as it is in a data URI inside double quotes."""

QUOTE = "\ue000"
"""Stands for a double quote of a text while those of attributes become single ones."""

_LONG_NUMBER = re.compile(r"-?\d*\.\d{2,}(?:e-?\d+)?")
_FAMILY = re.compile(r"font-family:[^;]*;?\s*")
_SHORT_FONT = re.compile(r"font: ((?:[a-z]+ |\d+ )*)([\d.]+px) [^;]*")
_NO_TURN = re.compile(r"rotate\(-?0 [^)]*\)\s*")
_USED = re.compile(r"#([^)\s\"]+)")


def embed_image(figure: Figure, name: str) -> str:
    """Return a figure as a data URI without double quotes: svg while that is small; nothing can run in an image."""
    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}), _rasterize_dense(figure):
        figure.savefig(stream, format="svg", dpi=DPI, metadata={"Date": None})
    svg = shrink_svg(stream.getvalue().decode("utf-8"))
    if len(svg) <= MAX_SVG_BYTES:
        return f"data:image/svg+xml,{quote(svg, safe=SAFE)}"
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI)
    return PNG + shrink_png(base64.b64encode(stream.getvalue()).decode("ascii"))


def shrink_png(encoded: str) -> str:
    """Return a png, encoded in base64, with few colours."""
    stream = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        few = image.convert("RGBA").quantize(COLOURS, method=Image.Quantize.FASTOCTREE)
        few.save(stream, "png", optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def shrink_svg(svg: str) -> str:
    """Return the svg of a figure without what is not seen: comments, unused names, digits beyond a tenth of a point."""
    ElementTree.register_namespace("", SVG[1:-1])
    ElementTree.register_namespace("x", LINK[1:].partition("}")[0])
    root = ElementTree.fromstring(svg)
    used = {name for element in root.iter() for value in element.attrib.values() for name in _USED.findall(value)}
    for metadata in root.findall(f"{SVG}metadata"):
        root.remove(metadata)
    styles: dict[str, str] = {}
    for element in root.iter():
        _shrink_element(element, used)
        if (style := element.attrib.pop("style", None)) is not None:
            element.set("class", styles.setdefault(style, f"s{len(styles)}"))
    sheet = root.find(f"{SVG}defs/{SVG}style")
    if sheet is not None:
        rules = [f".{name}{{{style}}}" for style, name in styles.items()]
        sheet.text = "".join(["*{stroke-linejoin:round;stroke-linecap:butt}", f"text{{font-family:{FONTS}}}", *rules])
    _drop_groups(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return text.replace('"', "'").replace(QUOTE, '"')


def _drop_groups(parent: ElementTree.Element) -> None:
    """Put the children of groups that say nothing in their place."""
    children: list[ElementTree.Element] = []
    for child in list(parent):
        _drop_groups(child)
        children += list(child) if child.tag == f"{SVG}g" and not child.attrib else [child]
    parent[:] = children


def _shrink_element(element: ElementTree.Element, used: set[str]) -> None:
    if element.get("id") not in used:
        element.attrib.pop("id", None)
    for name, value in element.attrib.items():
        shrink = SHRINK.get(name)
        # Attributes stand in single quotes, which none of those that matplotlib writes needs.
        element.set(name, (shrink(value) if shrink else value).replace("'", ""))
    is_text = element.tag in (f"{SVG}text", f"{SVG}tspan")
    text = element.text or ""
    element.text = text.replace('"', QUOTE) if is_text or text.strip() else None
    element.tail = (element.tail or "").strip().replace('"', QUOTE) or None


def _shrink_style(style: str) -> str:
    plain = _SHORT_FONT.sub(_name_font, _FAMILY.sub("", style))
    return plain.replace(": ", ":").replace("; ", ";").strip().strip(";")


def _shrink_path(path: str) -> str:
    return " ".join(_LONG_NUMBER.sub(_round_number, path).split())


def _shrink_place(place: str) -> str:
    return _LONG_NUMBER.sub(_round_coordinate, _NO_TURN.sub("", place))


def _shrink_link(link: str) -> str:
    return PNG + shrink_png(link.removeprefix(PNG)) if link.startswith(PNG) else link


def _name_font(match: re.Match[str]) -> str:
    """Return the parts of a short `font` without its family, which would undo that of the sheet."""
    words = match[1].split()
    weights = [word for word in words if word in ("bold", "heavy") or word.isdigit()]
    slants = [word for word in words if word in ("italic", "oblique")]
    parts = [
        f"font-size:{match[2]}",
        *(f"font-weight:{one}" for one in weights),
        *(f"font-style:{one}" for one in slants),
    ]
    return ";".join(parts)


def _round_number(match: re.Match[str]) -> str:
    return f"{float(match[0]):.1f}".removesuffix(".0")


def _round_coordinate(match: re.Match[str]) -> str:
    return f"{float(match[0]):.3g}" if abs(float(match[0])) < 1 else f"{float(match[0]):.2f}"


SHRINK: Mapping[str, Callable[[str], str]] = {
    "style": _shrink_style,
    "d": _shrink_path,
    "x": _shrink_place,
    "y": _shrink_place,
    "transform": _shrink_place,
    LINK: _shrink_link,
}
"""How the value of an attribute becomes shorter."""


@contextmanager
def _rasterize_dense(figure: Figure) -> Iterator[None]:
    """Let collections of many points be pixels meanwhile."""
    counts = {one: _count_parts(one) for one in figure.findobj(Collection) if not one.get_rasterized()}
    dense = [one for one, count in counts.items() if count > SPARSE] if sum(counts.values()) > DENSE else []
    for collection in dense:
        collection.set_rasterized(True)
    try:
        yield
    finally:
        for collection in dense:
            collection.set_rasterized(False)


def _count_parts(collection: Artist) -> int:
    assert isinstance(collection, Collection)
    return max(len(np.asarray(collection.get_offsets())), len(collection.get_paths()))
