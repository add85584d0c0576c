"""Figures of the page are small, and their texts stay as they are."""

import base64
import io
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from comparisons import HOSTILE
from report_pages import draw_text
from thesis_ml.reports.page.images import MAX_SVG_BYTES, PNG, embed_image

SVG = "data:image/svg+xml,"


def draw_points(n_points: int, n_panels: int = 1) -> Figure:
    figure = Figure()
    for axes in figure.subplots(n_panels, squeeze=False)[:, 0]:
        axes.scatter(np.arange(n_points), np.arange(n_points) % 7, s=np.arange(n_points) % 30, alpha=0.5)
    return figure


def read_texts(uri: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(unquote(uri.removeprefix(SVG))).iter()]


@pytest.mark.parametrize("text", [*(one for one in HOSTILE if one.isascii()), "a \"b\" 'c' <d> & e"])
def test_texts_survive_and_end_no_attribute(text: str) -> None:
    uri = embed_image(draw_text(text), "one")

    assert '"' not in uri
    assert "#" not in uri
    assert any(text.replace("_", "") in found.replace("_", "") for found in read_texts(uri))


def test_svg_is_a_third_of_what_matplotlib_writes() -> None:
    figure = draw_text("words")
    stream = io.BytesIO()
    figure.savefig(stream, format="svg")

    assert len(embed_image(figure, "one")) < stream.tell() / 3


def test_many_points_become_pixels_inside_the_svg_and_points_again() -> None:
    figure = draw_points(2000)

    uri = embed_image(figure, "dense")

    assert uri.startswith(SVG)
    assert PNG in uri
    assert len(uri) < MAX_SVG_BYTES
    assert not figure.axes[0].collections[0].get_rasterized()


def test_few_points_stay_points() -> None:
    assert PNG not in embed_image(draw_points(50), "sparse")


def test_large_figure_becomes_a_png_of_few_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thesis_ml.reports.page.images.MAX_SVG_BYTES", 10)

    uri = embed_image(draw_points(20), "large")

    with Image.open(io.BytesIO(base64.b64decode(uri.removeprefix(PNG)))) as image:
        assert image.mode == "P"


def test_same_figure_gives_the_same_image() -> None:
    assert embed_image(draw_points(5), "one") == embed_image(draw_points(5), "one")
