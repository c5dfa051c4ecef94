"""Draw the figures of docs/guide/models.md: ``python docs/images/draw_models.py``."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FOLDER = Path(__file__).parent
LINE, VISIBLE, HIDDEN, HEAD = "#8a8f98", "#f4c27a", "#8fb8de", "#b9d8a6"


def layer(ax, y, n, color, centre=0.0, gap=1.0):
    """Draw the units of a layer; return their positions."""
    places = [(centre + gap * (i - (n - 1) / 2), y) for i in range(n)]
    for place in places:
        ax.add_patch(plt.Circle(place, 0.27, facecolor=color, edgecolor="#333333", zorder=3))
    return places


def weights(ax, below, above, arrow=None):
    """Draw a line for each weight; ``arrow`` is "down" or "up" where it has a direction."""
    for start in below:
        for end in above:
            a, b = (end, start) if arrow == "down" else (start, end)
            style = "-|>" if arrow else "-"
            ax.annotate(
                "",
                b,
                a,
                arrowprops={
                    "arrowstyle": style,
                    "color": LINE,
                    "lw": 0.8,
                    "shrinkA": 9 if arrow else 0,
                    "shrinkB": 11 if arrow else 0,
                },
                zorder=1,
            )


def label(ax, x, y, text):
    ax.text(x, y, text, va="center", fontsize=11)


def figure(height, width=7.0):
    fig, ax = plt.subplots(figsize=(width, height))
    ax.set_aspect("equal")
    ax.axis("off")
    return fig, ax


def save(fig, ax, name, left=-2.8, right=5.6):
    ax.set_xlim(left, right)
    ax.margins(y=0.05)
    ax.autoscale_view(scalex=False)
    fig.savefig(FOLDER / f"models_{name}.png", dpi=110, bbox_inches="tight", facecolor="white")
    plt.close(fig)


def rbm():
    fig, ax = figure(2.2)
    v, h = layer(ax, 0, 5, VISIBLE), layer(ax, 1.7, 4, HIDDEN)
    weights(ax, v, h)
    label(ax, 2.7, 1.7, "hidden layer: $h$, bias $b$")
    label(ax, 2.7, 0.85, "weights $W$")
    label(ax, 2.7, 0, "visible layer: $v$, bias $a$")
    save(fig, ax, "rbm")


def dbn():
    fig, ax = figure(3.6)
    v, h1 = layer(ax, 0, 5, VISIBLE), layer(ax, 1.7, 4, HIDDEN)
    h2, h3 = layer(ax, 3.4, 4, HIDDEN), layer(ax, 5.1, 3, HIDDEN)
    weights(ax, v, h1, "down")
    weights(ax, h1, h2, "down")
    weights(ax, h2, h3)
    label(ax, 2.7, 5.1, "$h_3$: hidden layer 2")
    label(ax, 2.7, 4.25, "$W_2$: no direction, one RBM")
    label(ax, 2.7, 3.4, "$h_2$: hidden layer 1")
    label(ax, 2.7, 2.55, "$W_1$: draws go down")
    label(ax, 2.7, 1.7, "$h_1$: hidden layer 0")
    label(ax, 2.7, 0.85, "$W_0$: draws go down")
    label(ax, 2.7, 0, "$v$: columns of a row")
    save(fig, ax, "dbn", right=6.2)


def dbm():
    fig, ax = figure(2.9)
    v, h1, h2 = layer(ax, 0, 5, VISIBLE), layer(ax, 1.7, 4, HIDDEN), layer(ax, 3.4, 3, HIDDEN)
    weights(ax, v, h1)
    weights(ax, h1, h2)
    label(ax, 2.7, 3.4, "$h_2$: hidden layer 1")
    label(ax, 2.7, 2.55, "$W_1$: no direction")
    label(ax, 2.7, 1.7, "$h_1$: hidden layer 0")
    label(ax, 2.7, 0.85, "$W_0$: no direction")
    label(ax, 2.7, 0, "$v$: columns of a row")
    save(fig, ax, "dbm")


def pathways():
    fig, ax = figure(2.9)
    pixels = layer(ax, 0, 4, VISIBLE, -2.6, 0.9), layer(ax, 1.7, 3, HIDDEN, -2.6, 0.9)
    words = layer(ax, 0, 3, "#e79a8b", 1.6, 0.9), layer(ax, 1.7, 2, HIDDEN, 1.6, 0.9)
    joint = layer(ax, 3.4, 4, HIDDEN, -0.5, 0.9)
    for below, above in (pixels, words):
        weights(ax, below, above)
        weights(ax, above, joint)
    label(ax, 3.3, 3.4, "joint layer")
    label(ax, 3.3, 1.7, "a hidden layer for each pathway")
    label(ax, 3.3, 0, "columns of two modalities")
    save(fig, ax, "pathways", left=-4.4, right=8.0)


def fine_tuning():
    fig, ax = figure(2.9)
    v, h1, h2 = layer(ax, 0, 5, VISIBLE), layer(ax, 1.7, 4, HIDDEN), layer(ax, 3.4, 4, HIDDEN)
    out = layer(ax, 5.1, 3, HEAD)
    weights(ax, v, h1, "up")
    weights(ax, h1, h2, "up")
    weights(ax, h2, out, "up")
    label(ax, 2.7, 5.1, "probabilities of the classes")
    label(ax, 2.7, 4.25, "$U$: new weights of the head")
    label(ax, 2.7, 3.4, "$x_2$")
    label(ax, 2.7, 2.55, "$W_1$: starts from the generator")
    label(ax, 2.7, 1.7, "$x_1$")
    label(ax, 2.7, 0.85, "$W_0$: starts from the generator")
    label(ax, 2.7, 0, "$x_0$: columns of a row")
    save(fig, ax, "fine_tuning", right=6.6)


if __name__ == "__main__":
    for draw in (rbm, dbn, dbm, pathways, fine_tuning):
        draw()
