"""Links from the names of classes and functions that pages and docstrings write as code.

Their source has no links, as docstrings are also read in `help` and in the HTML repr of an
estimator, and pages in the repository. The first mention of a name on a page becomes one.
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.ext.intersphinx import InventoryAdapter
from sphinx.transforms import SphinxTransform

import sklearn_dbn
from sklearn_dbn import inspection

# A name, with the arguments of a call.
NAME = re.compile(r"([A-Za-z_][\w.]*)(?:\(.*\))?", re.DOTALL)
OURS = {
    name: f"{module}.{name}"
    for module, names in (
        ("sklearn_dbn", sklearn_dbn.__all__),
        ("sklearn_dbn.inspection", inspection.__all__),
        ("sklearn_dbn.likelihood", ["Estimate", "LogPartition"]),
    )
    for name in names
    if name not in ("__version__", "inspection")
}


def known(env) -> dict[str, str]:
    """Full names by what pages write: a full name, one after `np.`, or that of a class."""
    found = {}
    for role, entries in InventoryAdapter(env).main_inventory.items():
        for full in entries:
            found[full] = full
            found[full.replace("numpy.", "np.", 1)] = full
            if role == "py:class" and full.startswith("sklearn."):
                found[full.rpartition(".")[2]] = full
    return found | OURS


class LinkFirstMentions(SphinxTransform):
    default_priority = 500

    def apply(self, **kwargs):
        names = known(self.env)
        # A class is not linked on its own page.
        seen = {self.env.docname.rpartition("/")[2]}
        for code in list(self.document.findall(nodes.literal)):
            match = NAME.fullmatch(code.astext())
            target = match and names.get(match[1])
            if not target or target in seen or linked_already(code):
                continue
            seen.add(target)
            link = pending_xref(
                "", refdomain="py", reftype="obj", reftarget=target, refdoc=self.env.docname
            )
            code.replace_self(link)
            link += code


def linked_already(node: nodes.Node) -> bool:
    """Whether the node is in a link, or in a title, which lists of contents show."""
    while node := node.parent:
        if isinstance(node, (nodes.reference, nodes.title, pending_xref)):
            return True
    return False


def setup(app):
    app.add_transform(LinkFirstMentions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
