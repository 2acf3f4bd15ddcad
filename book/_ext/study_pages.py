"""Sphinx extension of this book: every page names its run and loads nothing from another host."""

from __future__ import annotations

import html
import json
from importlib.metadata import distribution
from pathlib import Path

MATHJAX = "mathjax/static/mathjax/es5/tex-svg.js"  # one file with fonts and all


def _configure(app, config) -> None:
    mathjax = Path(distribution("django-static-mathjax").locate_file(MATHJAX))
    if not mathjax.is_file():
        raise FileNotFoundError(f"{mathjax} is missing. Remove .venv and run: make environment")
    # An extra path, not a static one: Jupyter Book adds every script of a static path to every page.
    config.html_extra_path.append(str(mathjax))


def _page(app, pagename, templatename, context, doctree) -> None:
    # Thebe (live code) is not used here, loads from another host, and is declared twice, which logs an error.
    scripts = context.get("script_files", [])
    context["script_files"] = [script for script in scripts if not _is_thebe(script)]
    context["css_files"] = [sheet for sheet in context.get("css_files", []) if not _is_thebe(sheet)]

    # The live page loads its own; Jupyter Book adds what lies in a static folder to every page.
    for kind in ("script_files", "css_files"):
        context[kind] = [asset for asset in context[kind] if "/live/" not in str(getattr(asset, "filename", asset))]

    context["theme_navbar_persistent"] = []  # a second search field, above the sidebar's

    status = Path(app.srcdir) / "runs" / "status.json"
    if not status.is_file():
        raise FileNotFoundError(f"{status} is missing. Build the book with: make book")
    banner = json.loads(status.read_text(encoding="utf-8"))
    link = html.escape(context["pathto"]("runs/status"))
    context["theme_announcement"] = (
        f'<span class="run-{html.escape(banner["kind"])}">{html.escape(banner["text"])} '
        f'<a href="{link}">Status</a></span>'
    )


def _is_thebe(asset) -> bool:
    text = f"{getattr(asset, 'filename', asset)} {getattr(asset, 'attributes', {}).get('body', '')}".lower()
    return "thebe" in text


def setup(app) -> dict:
    app.connect("config-inited", _configure, priority=100)
    app.connect("html-page-context", _page, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
