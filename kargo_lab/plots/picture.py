"""A figure that a notebook shows without anybody switching a backend on."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class Picture(Figure):
    """Matplotlib's figure, drawn by itself: no window, no global state."""

    def _repr_png_(self) -> bytes:
        with io.BytesIO() as buffer:
            self.savefig(buffer, format="png", dpi=110)
            return buffer.getvalue()
