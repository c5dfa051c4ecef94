"""Figures of the gallery say of which example they are.

Sphinx-Gallery describes a figure by the titles of its panels, and a thumbnail by nothing.
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx_gallery.directives import imgsgnode

FIGURE = re.compile(r"sphx_glr_(\w+)_(?:thumb|\d+)\.")


def describe(app, doctree, docname):
    for kind in (nodes.image, imgsgnode):
        for image in doctree.findall(kind):
            if example := FIGURE.search(image["uri"]):
                title = app.env.titles[f"gallery/{example[1]}"].astext()
                panels = f": {image['alt']}" if image.get("alt") else ""
                image["alt"] = f'Figure of the example "{title}"{panels}'


def setup(app):
    app.connect("doctree-resolved", describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
