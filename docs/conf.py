"""How the documentation is built; CONTRIBUTING.md has the command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpydoc.xref
import sklearn.base
import sklearn.callback

import sklearn_dbn

# Grid searches of the examples run two processes, and each should have a core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

sys.path.insert(0, str(Path(__file__).parent))  # for the modules beside this one

import _links

project = "sklearn_dbn"
author = "sklearn_dbn developers"
release = version = sklearn_dbn.__version__

extensions = [
    "_links",
    "_mathml",
    "_search",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
# decisions/index.md includes its README.
exclude_patterns = ["_build", "decisions/README.md", "inventories"]
templates_path = ["_templates"]
nitpicky = True
# A word between single backticks is code in the docstrings, as in scikit-learn's.
default_role = "literal"
# Quotes stay as typed: most are around values of parameters.
smartquotes_action = "De"

# Nothing is fetched in a build; inventories/README.md says where these are from.
intersphinx_mapping = {
    name: (address, f"inventories/{name}.inv")
    for name, address in {
        "joblib": "https://joblib.readthedocs.io/en/stable/",
        "numpy": "https://numpy.org/doc/stable/",
        "pandas": "https://pandas.pydata.org/docs/",
        "python": "https://docs.python.org/3/",
        "scikit-learn": "https://scikit-learn.org/stable/",
        "scipy": "https://docs.scipy.org/doc/scipy/",
    }.items()
}

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "inherited-members": True}
numpydoc_show_class_members = False
# Types are links, but not those that everybody knows (int, None).
numpydoc.xref.DEFAULT_LINKS.clear()
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = {
    "Bunch": "sklearn.utils.Bunch",
    "FrozenEstimator": "sklearn.frozen.FrozenEstimator",
    "RandomState": "numpy.random.RandomState",
    "datetime.timedelta": "datetime.timedelta",
    "joblib.Memory": "joblib.Memory",
    "ndarray": "numpy.ndarray",
    **_links.OURS,
}

# Outputs are not copied, so they have no button.
copybutton_selector = (
    ":not(.highlight-text, .highlight-none, .sphx-glr-script-out) > div.highlight pre"
)
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("sklearn_dbn",),
    # A broken example ends the build, at once.
    "abort_on_example_error": True,
    "only_warn_on_example_error": False,
    "download_all_examples": False,
    "copyfile_regex": r".*\.rst",
    "show_memory": False,
    "show_signature": False,
    "plot_gallery": "True",
    "write_computation_times": False,
}

# See _mathml.py.
html_math_renderer = "mathml"

html_theme = "pydata_sphinx_theme"
html_title = "sklearn_dbn"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["custom.css"]
html_js_files = [("figures.js", {"defer": "defer"})]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": ["version"],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
}
html_sidebars = {"index": [], "changelog": [], "faq": [], "study": [], "recipes": []}
copyright = "sklearn_dbn developers, BSD 3-clause"


def is_inherited_from_elsewhere(app, what, name, member, skip, options):
    """What scikit-learn's base classes bring is documented there."""
    module = getattr(member, "__module__", None) or ""
    if callable(member) and not module.startswith("sklearn_dbn"):
        return True
    return None


def public_bases(app, name, obj, options, bases):
    """The base classes of scikit-learn; those of this package are not public."""
    bases[:] = [
        f":py:class:`~{module.__name__}.{base.__name__}`"
        for base in obj.__mro__
        for module in (sklearn.base, sklearn.callback)
        if base.__module__.startswith(module.__name__) and hasattr(module, base.__name__)
    ]


def setup(app):
    app.connect("autodoc-process-bases", public_bases)
    app.connect("autodoc-skip-member", is_inherited_from_elsewhere)
