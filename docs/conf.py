"""Sphinx's settings for the documentation; scripts/docs builds it."""

import sys
from pathlib import Path

from phonolyte import __version__

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "Phonolyte"
author = "The Phonolyte developers"
copyright = author
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "myst_nb",
    "generated",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

nb_execution_mode = "force"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
default_role = "code"
python_use_unqualified_type_names = True
add_module_names = False

suppress_warnings = ["ref.python"]  # attributes of one name in several classes
nitpick_ignore_regex = [("py:.*", ".*")]  # of other packages: a build needs no network

html_math_renderer = "mathml"
html_theme = "furo"
html_title = "Phonolyte"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0067a3",
        "color-brand-content": "#0067a3",
        "font-stack": "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif",
    },
    "dark_css_variables": {"color-brand-primary": "#62b9ef", "color-brand-content": "#62b9ef"},
}
