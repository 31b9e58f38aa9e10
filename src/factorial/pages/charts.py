"""Interactive charts within a page: Vega-Lite's specs, drawn by its own script, which goes along.

https://vega.github.io/vega-lite/docs/
"""

import functools

import vl_convert
from markupsafe import Markup

VERSION = "6.4"  # of Vega-Lite, which the specs are written for


@functools.cache
def script() -> Markup:
    """Vega-Lite and all that it needs, 0.9 MB, as a page's script that makes `vegaEmbed`."""
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed", vl_version=VERSION)
    assert "</script" not in bundle and "<!--" not in bundle  # or it would end there
    return Markup(f"<script>(() => {{{bundle}}})()</script>")  # whose names are its own
