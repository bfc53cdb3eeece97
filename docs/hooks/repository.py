"""Pages of the site that are files of the repository, and links between its files."""

import pathlib
import posixpath
import re

ROOT = pathlib.Path(__file__).parents[2]
CARDS = sorted((ROOT / "zoo").glob("*/README.md"))
# Page of the site by file of the repository; those of docs/ stand where they stand there.
PAGES = {
    "RESULTS.md": "results.md",
    "benchmarks/RESULTS.md": "benchmarks.md",
    "ZOO.md": "zoo/index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    **{f"zoo/{card.parent.name}/README.md": f"zoo/{card.parent.name}.md" for card in CARDS},
}
# What greets a reader, in the repository and in the site.
README, HOME = "README.md", "index.md"
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
FENCE = re.compile(r"(?ms)^(```.*?^```)")


def on_files(files, config):
    """Add the pages, and the pictures of the cards."""
    from mkdocs.structure.files import File

    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    for card in CARDS:
        for picture in card.parent.glob("*.png"):
            name = picture.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown, page, **_):
    """Make links between files of the repository links between pages."""
    origins = {page: source for source, page in PAGES.items()}
    uri = page.file.src_uri
    return linked(markdown, origins.get(uri, f"docs/{uri}"), uri)


def linked(markdown, origin, uri):
    """Text of the repository's file `origin` as that of the page `uri`."""

    def replaced(match):
        mark, text, link = match.groups()
        target = site_target(link, origin)
        if target is None:
            return match[0]
        return f"{mark}[{text}]({posixpath.relpath(target, posixpath.dirname(uri) or '.')})"

    def without_page(match):
        """A file that is in the repository but not in the site is named, not linked."""
        mark, text, link = match.groups()
        if mark or "://" in link or link.startswith("#"):
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), link.split("#")[0]))
        named = (ROOT / path).exists() and site_target(link, origin) is None
        return text if named else match[0]

    parts = FENCE.split(markdown)  # code at odd places
    for place in range(0, len(parts), 2):
        parts[place] = LINK.sub(replaced, LINK.sub(without_page, parts[place]))
    return "".join(parts)


def site_target(link, origin):
    """Where in the site a link of the file `origin` leads, or `None` where that is not known."""
    path, _, fragment = link.partition("#")
    if "://" in link or not path:
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
    if path == README:
        return HOME
    if path in PAGES:
        path = PAGES[path]
    elif path.startswith("docs/"):
        path = path.removeprefix("docs/")
    elif path.startswith("notebooks/"):
        path = path.replace(".ipynb", ".md")
    elif not (path.startswith("zoo/") and path.endswith(".png")):
        return None
    return f"{path}#{fragment}" if fragment else path
