"""Sphinx extension of this book: every page names its run, loads nothing from another host, and can be read by all.

Figures get the words that were written with them, tables can be reached by keyboard, nothing that can be pressed is
without a name, and the address of the repository, one setting, turns on what needs it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
from importlib.metadata import distribution
from pathlib import Path

from docutils import nodes
from PIL import Image
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as PlainStyle
from pybtex.style.labels import BaseLabelStyle
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
# Of MathJax what draws formulas as pictures, fonts and all: a page may also be a file, where fonts load in no browser.
MATHJAX = "mathjax/static/mathjax/es5"
PARTS = ("startup", "core", "input/tex", "output/svg", "output/svg/fonts/tex", "a11y/assistive-mml")
# The theme's 1.5 MB of icons, of which a page shows a dozen: those are drawn into it instead.
ICONS = "_static/scripts/fontawesome.js"
ICON_SCRIPT = re.compile(r'\s*<script\b[^>]*\bsrc="[^"]*/scripts/fontawesome\.js[^"]*"[^>]*></script>')
ICON = re.compile(r'<i class="([^"]*\bfa-[^"]+)"([^>]*)>\s*</i>')
PACKS = {"fas": "fas", "fa-solid": "fas", "far": "far", "fa-regular": "far", "fab": "fab", "fa-brands": "fab"}
NARROW_PX = 700  # of a figure that a phone need not scroll
SHELL = re.compile(r'<div class="highlight-(?:bash|console)\b.*?</div>', re.DOTALL)
OPTION = re.compile(r"(?<=[>\s])(--?[A-Za-z][\w-]*)(?=[<\s=])")  # of a command
UNIT = re.compile(r"(\d(?:</\w+>)*) (%|k?Hz|m?s|px|pt|[kMG]B|min)(?![\w%])")  # of a number
BRACKET = re.compile(r"(\[[−+]?\d[\d.]*(?:\u00a0%)?), (?=[−+]?\d)")  # of an interval
VERBATIM = re.compile(r"(<(?:pre|script|style)\b.*?</(?:pre|script|style)>)", re.DOTALL)
NAME = re.compile(r'(?<=<span class="pre">)[^<]*[_/][^<]*(?=</span>)')  # of a file or a parameter, in prose
EMPTY_HEADER = re.compile(r"<th\b([^>]*)>(?:\s|&nbsp;|&#160;|</?p>)*</th>")
TOGGLE = re.compile(r'<summary>(?=<span class="toctree-toggle")')  # of the sidebar: an arrow alone
SPOKEN = (  # what programs that read a page aloud are told, where the theme tells them nothing or what they do not know
    (
        '<div id="pst-primary-sidebar"',
        '<div role="complementary" aria-label="Pages of the book" id="pst-primary-sidebar"',
    ),
    ('role="doc-biblioentry"', 'role="listitem"'),
    ('<div class="math ', '<div tabindex="0" role="group" aria-label="Formula" class="math '),  # it scrolls on a phone
)
BUTTON = re.compile(r"<button\b(?![^>]*\baria-label=)([^>]*)>")
NOTEBOOK = re.compile(r"book/runs/(\d\d_[a-z_]+?)(?:_(?:general|females|males))?\.ipynb")
SUMMARY = "What can a voice tell about a face, and what does a GAN make up? A study that runs by itself."


def _configure(app, config) -> None:
    for part in PARTS:
        if not (script := _mathjax(part)).is_file():
            raise FileNotFoundError(f"{script} is missing. Remove .venv and run: make environment")
    _repository(config.html_theme_options)


def _mathjax(part: str) -> Path:
    return Path(distribution("django-static-mathjax").locate_file(f"{MATHJAX}/{part}.js"))


def _repository(options: dict) -> None:
    """Turn on what leads to the repository where its address is given, and off where it is not."""
    address = str(options.get("repository_url") or "")
    for button in ("repository", "issues", "edit_page"):
        options[f"use_{button}_button"] = bool(address)
    launch = {"notebook_interface": "jupyterlab"}
    if address:
        launch["binderhub_url"] = "https://mybinder.org"
    if address.startswith("https://github.com/"):  # Colab opens no other
        launch["colab_url"] = "https://colab.research.google.com"
    options["launch_buttons"] = launch


def _page(app, pagename, templatename, context, doctree) -> None:
    # Thebe (live code) is not used here, loads from another host, and is declared twice, which logs an error.
    scripts = context.get("script_files", [])
    context["script_files"] = [script for script in scripts if not _is_thebe(script)]
    context["css_files"] = [sheet for sheet in context.get("css_files", []) if not _is_thebe(sheet)]

    # The live page loads its own; Jupyter Book adds what lies in a static folder to every page.
    for kind in ("script_files", "css_files"):
        context[kind] = [asset for asset in context[kind] if "/live/" not in str(getattr(asset, "filename", asset))]

    # MathJax only where there is a formula.
    if doctree is None or not any(doctree.findall(lambda node: isinstance(node, nodes.math | nodes.math_block))):
        context["script_files"] = [script for script in context["script_files"] if "mathjax" not in str(script).lower()]

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
    context["metatags"] = context.get("metatags", "") + _card(app, context)
    made = pagename.startswith("runs/") and not (Path(app.srcdir) / f"{pagename}.ipynb").is_file()
    context["header_buttons"] = _to_sources(context.get("header_buttons", []), made=made)


def _card(app, context) -> str:
    """What other sites show of a link to this page; they want the picture's whole address."""
    there = app.config.html_baseurl
    image = f"{there.rstrip('/')}/_static/card.png" if there else context["pathto"]("_static/card.png", resource=True)
    about = {
        "og:type": "article",
        "og:site_name": app.config.html_title,
        "og:title": re.sub("<[^>]+>", "", context.get("title", "")) or app.config.html_title,
        "og:description": SUMMARY,
        "og:image": image,
        "og:image:alt": "The question of this study above faces that it drew from voices.",
        "twitter:card": "summary_large_image",
    }
    return "".join(f'\n<meta property="{name}" content="{html.escape(value)}">' for name, value in about.items())


def _to_sources(buttons: list[dict], *, made: bool) -> list[dict]:
    """Links to the notebook that a page was made from; a page that the build wrote has no source to edit."""
    found = []
    for button in buttons:
        inner = button.get("buttons")
        if made and button.get("label") == "source-edit-button":
            continue
        found.append(
            button
            | ({"buttons": _to_sources(inner, made=made)} if inner else {})
            | ({"url": NOTEBOOK.sub(r"notebooks/\1.ipynb", button["url"])} if "url" in button else {})
        )
    return found


def _is_thebe(asset) -> bool:
    text = f"{getattr(asset, 'filename', asset)} {getattr(asset, 'attributes', {}).get('body', '')}".lower()
    return "thebe" in text


# The list of references, labelled as the text cites


class AuthorYearLabels(BaseLabelStyle):
    """Labels such as "Wen et al., 2019"."""

    def format_labels(self, sorted_entries):
        for entry in sorted_entries:
            names = [
                " ".join(map(str, person.rich_prelast_names + person.rich_last_names))
                for person in entry.persons["author"]
            ]
            first = names[0] if len(names) != 2 else " and ".join(names)
            yield f"{first}{' et al.' if len(names) > 2 else ''}, {entry.fields['year']}"


class AuthorYearStyle(PlainStyle):
    """The list in plain style, sorted by authors, with `AuthorYearLabels`."""

    default_label_style = AuthorYearLabels


# What a page holds


def _read(app, doctree) -> None:
    name = app.env.docname
    figures = _figures(Path(app.env.doc2path(name)))
    for image in doctree.findall(nodes.image):
        about = figures.get(Path(image["uri"]).stem) or _said(Path(app.srcdir, image["uri"]))
        if "alt" in about:
            image["alt"] = about["alt"]
            image["classes"] += ["dark-light", about["kind"]]  # the theme dims all pictures but those
            image["classes"] += ["narrow"] if about.get("narrow") else []
        if not str(image.get("alt", "")).strip():
            LOGGER.warning("picture %s has no words for those who cannot see it", image["uri"], location=image)
    for raw in doctree.findall(nodes.raw):
        if "<table" in raw.astext():
            section = raw.parent
            while section is not None and not isinstance(section, nodes.section):
                section = section.parent
            title = section.next_node(nodes.title).astext() if section is not None else ""
            name = html.escape(f"Table: {title}" if title else "Table", quote=True)
            opened = f'<div class="wide-table" tabindex="0" role="region" aria-label="{name}">'
            changed = raw.copy()
            changed += nodes.Text(f"{opened}{raw.astext()}</div>")
            raw.parent.replace(raw, changed)


def _figures(path: Path) -> dict[str, dict]:
    """What a notebook says of its pictures, by the name that MyST-NB gives each: the hash of what is in it."""
    if path.suffix != ".ipynb":
        return {}
    found = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            about = output.get("metadata", {}).get("image/png", {})
            if "alt" in about:
                data = base64.b64decode("".join(output["data"]["image/png"]))
                narrow = int.from_bytes(data[16:20], "big") < NARROW_PX  # of a PNG
                found[hashlib.sha256(data).hexdigest()] = about | {"narrow": narrow}
    return found


def _said(path: Path) -> dict[str, str]:
    """What is written in a figure that the study drew for a chapter: its words and its kind; nothing in others."""
    if path.suffix != ".png" or not path.is_file():
        return {}
    with Image.open(path) as picture:
        text = getattr(picture, "text", {})
    return {"alt": text["Description"], "kind": text["Kind"]} if {"Description", "Kind"} <= text.keys() else {}


def _titles(app, env) -> None:
    pages: dict[str, list[str]] = {}
    for page, title in env.titles.items():
        pages.setdefault(title.astext(), []).append(page)
    for title, names in pages.items():
        if len(names) > 1:
            LOGGER.warning("%d pages are called '%s': %s", len(names), title, ", ".join(sorted(names)))


# What only the finished pages have: the theme's own parts


def _finish(app, exception) -> None:
    if exception is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    for part in PARTS:  # beside the static files: Jupyter Book adds every script among those to every page
        place = out / "mathjax" / f"{part}.js"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_mathjax(part), place)
    icons = Icons((out / ICONS).read_text(encoding="utf-8"))
    for page in out.rglob("*.html"):
        if "_static" not in page.relative_to(out).parts:
            text = page.read_text(encoding="utf-8")
            page.write_text(usable(text, icons), encoding="utf-8")
    for left in out.glob(f"{ICONS}*"):
        left.unlink()


class Icons:
    """Icons of Font Awesome by pack and name, found in the script that the theme brings.

    Parameters
    ----------
    script : str, text of ``fontawesome.js``
    """

    def __init__(self, script: str) -> None:
        self._script = script
        self._ends = {pack: script.rindex(f'("{pack}",') for pack in ("fab", "far", "fas")}  # a pack, then its name

    def svg(self, match: re.Match) -> str:
        """An icon's element as a drawing with the same classes; whoever cannot see it has the button's name."""
        classes, attributes = match.groups()
        words = classes.split()
        pack = next(PACKS[word] for word in words if word in PACKS)
        name = next(word[3:] for word in words if word.startswith("fa-") and word not in {*PACKS, "fa-lg"})
        classes = " ".join(word for word in words if word not in PACKS)  # rules of packs are for letters
        width, height, path = self._drawing(pack, name)
        return (
            f'<svg class="svg-inline--fa {classes}"{attributes} aria-hidden="true" focusable="false" '
            f'viewBox="0 0 {width} {height}"><path fill="currentColor" d="{path}"></path></svg>'
        )

    def _drawing(self, pack: str, name: str) -> tuple[str, str, str]:
        rest = r'\[(\d+),(\d+),\[[^\]]*\],"\w*","([^"]+)"\]'
        other = rf'\[(\d+),(\d+),\[(?:[^\]]*,)?"{name}"[^\]]*\],"\w*","([^"]+)"\]'  # an older name of it
        for pattern in (rf'[{{,]"?{name}"?:{rest}', other):
            found = re.findall(pattern, self._script[: self._ends[pack]])
            if found:
                return found[-1]  # packs follow one another: the last before the end of this one
        raise ValueError(f"the theme has no icon '{name}' in its pack '{pack}': name one that it has")


def usable(page: str, icons: Icons) -> str:
    """A page whose buttons have names, with its own icons, and whose tables have no header that says nothing.

    Lines break neither within an option of a command, nor between a number and its unit, nor within an interval, and
    they may break after each part of a name.
    """
    page = ICON.sub(icons.svg, ICON_SCRIPT.sub("", page))
    for part, spoken in SPOKEN:
        page = page.replace(part, spoken)
    page = SHELL.sub(lambda block: OPTION.sub(r'<span class="option">\1</span>', block.group(0)), page)
    page = "".join(_unbroken(each) if k % 2 == 0 else each for k, each in enumerate(VERBATIM.split(page)))
    page = TOGGLE.sub('<summary aria-label="Pages below this one">', page)
    return BUTTON.sub(_named, EMPTY_HEADER.sub(r"<td\1></td>", page))


def _unbroken(text: str) -> str:
    text = BRACKET.sub("\\1,\u00a0", UNIT.sub("\\1\u00a0\\2", text))
    return NAME.sub(lambda name: re.sub(r"([_/])(?=\w)", r"\1<wbr>", name.group(0)), text)


def _named(match: re.Match) -> str:
    attributes = match.group(1)
    title = re.search(r'\btitle="([^"]+)"', attributes)
    return f'<button aria-label="{title.group(1)}"{attributes}>' if title else match.group(0)


def setup(app) -> dict:
    register_plugin("pybtex.style.formatting", "author_year", AuthorYearStyle, force=True)
    app.connect("config-inited", _configure, priority=100)
    app.connect("doctree-read", _read)
    app.connect("env-updated", _titles)
    app.connect("html-page-context", _page, priority=900)
    app.connect("build-finished", _finish)
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}
