"""What people search for, and the section that answers it.

Sphinx ranks a page by the words of its titles; pages that only contain a word are in the order
of the alphabet.
"""

from __future__ import annotations

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

SECTIONS = {
    "guide/tables": {
        "kinds-of-columns": ["categorical", "category", "ordinal", "count"],
        "fill-the-gaps": ["missing", "impute", "imputation", "nan"],
        "unusual-rows": ["outlier", "anomaly"],
        "ratings": ["sparse"],
    },
    "guide/speed": {"gpus": ["gpu", "cuda"], "clusters": ["cluster", "dask"]},
    "guide/callbacks": {
        "progress-bars": ["progress", "progress bar"],
        "early-stopping": ["early stopping"],
    },
    "guide/persistence": {"saving-a-model": ["pickle", "save", "load", "skops", "joblib"]},
    "guide/models": {"energy": ["energy"], "free-energy-and-likelihood": ["free energy"]},
    "guide/coming-from": {"from-bernoullirbm": ["BernoulliRBM"]},
    "guide/likelihood": {"samples": ["generate", "sample"]},
    "faq": {
        "how-to-cite": ["cite", "citation", "BibTeX"],
        "is-there-a-converter-to-onnx-where-is-coef": ["onnx", "coef_"],
    },
}
logger = logging.getLogger(__name__)


class IndexSections(SphinxTransform):
    default_priority = 500

    def apply(self, **kwargs):
        wanted = SECTIONS.get(self.env.docname, {})
        found = {
            name: section
            for section in self.document.findall(nodes.section)
            for name in section["ids"]
        }
        for name, words in wanted.items():
            if name not in found:
                logger.warning("no section %s in %s", name, self.env.docname)
                continue
            # The search page has main entries above everything else.
            entries = [("single", word, name, "main", None) for word in words]
            # After the title, which tables of contents take from the first place.
            found[name].insert(1, addnodes.index(entries=entries))


def setup(app):
    app.add_transform(IndexSections)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
