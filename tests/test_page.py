"""The page of a report: what goes into it, and how images stand on it."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

from solutions import page


@pytest.mark.parametrize(("rows", "columns", "titles"), [(4, 7, False), (6, 9, True), (1, 2, True)])
def test_cells_for_images_are_square_and_reach_the_edges(
    rows: int, columns: int, titles: bool
) -> None:
    """Else images are drawn smaller than their cells, with gaps in one direction."""
    figure, axes = page.images(rows, columns, 1.5, titles)
    assert axes.shape == (rows, columns)
    width, height = figure.get_size_inches()
    for axis in axes.flat:
        box = axis.get_position()
        assert box.width * width == pytest.approx(box.height * height, rel=1e-6)
    assert axes[0, 0].get_position().x0 == pytest.approx(0)
    assert axes[0, 0].get_position().y1 == pytest.approx(1)
    assert axes[-1, -1].get_position().x1 == pytest.approx(1)
    if rows > 1:
        above, below = (axes[i, 0].get_position() for i in (0, 1))
        assert (above.y0 - below.y1) / above.height == pytest.approx(0.22 if titles else 0.08)


def test_a_page_escapes_what_it_is_given_and_wraps_long_commands() -> None:
    text = page.page("a<b", [page.command("x --set y=<z>"), page.note("1 & 2")])
    assert "<title>a&lt;b</title>" in text and "y=&lt;z&gt;" in text and "1 &amp; 2" in text
    assert "white-space: pre-wrap" in text
