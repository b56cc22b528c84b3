"""What MkDocs does not know of this project: the pages at its root, links out of docs/, and the reference.

The reference has a page for each public package and each of its rooms, made from the source tree, so that a module that
moves takes its page with it.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))
from offline import fetched_by_site

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "src" / "ecg_flare"
PACKAGES: Final = ("ecg", "page", "digitize", "nnunet", "task", "federated", "privacy", "flare", "report", "review", "site")
ALONE: Final = ("errors", "extensions", "storage")
"""Modules that every package leans on."""

# file at the root -> its address in the site; MkDocs would take README.md for the home page
ROOT_PAGES: Final = {
    "README.md": "overview.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "SECURITY.md": "SECURITY.md",
    "CHANGELOG.md": "CHANGELOG.md",
}
ROOT_FILES: Final = {
    "LICENSE": "LICENSE.txt",
    "CITATION.cff": "CITATION.cff.txt",
    "custom/site_pages.py": "site_pages.py.txt",
}

_LINK: Final = re.compile(r"(?P<text>!?\[[^\]]*\])\((?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
_SHAPE: Final = re.compile(r"""(<span class="s[12]">(?:&quot;|&#39;|["']))\s+([^<]*)(</span>)""")
_FENCE: Final = re.compile(r"^(?:```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the reference to the navigation."""
    assert isinstance(config.nav, list)
    rooms = [{package: [_address(room) for room in _rooms(package)]} for package in PACKAGES]
    config.nav.append({"Reference": ["api/index.md", *rooms, "api/shared.md"]})
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages of the project's root, the files that pages link to, and the reference."""
    for name, address in {**ROOT_PAGES, **ROOT_FILES}.items():
        files.append(File.generated(config, address, abs_src_path=str(ROOT / name)))
    pages = {_address(room): _room_page(room) for package in PACKAGES for room in _rooms(package)}
    pages["api/index.md"] = _index()
    pages["api/shared.md"] = "# Shared modules\n\n" + "".join(f"::: ecg_flare.{name}\n\n" for name in ALONE)
    for address, text in pages.items():
        files.append(File.generated(config, address, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links that hold in the repository hold in the site."""
    address = page.file.src_uri
    if address.startswith("api/"):
        return markdown
    source = next((name for name, site in ROOT_PAGES.items() if site == address), f"docs/{address}")
    kept = iter(_FENCE.findall(markdown))
    texts = _FENCE.split(markdown)
    changed = [_LINK.sub(lambda found: _link(found, source, files), text) for text in texts]
    return changed[0] + "".join(next(kept) + text for text in changed[1:])


def on_page_content(html: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show the shape of an array without the space that keeps type checkers from reading it as a name."""
    return _SHAPE.sub(r"\1\2\3", html) if page.file.src_uri.startswith("api/") else html


def on_post_build(*, config: MkDocsConfig) -> None:
    """Refuse a site that fetches anything from elsewhere."""
    if fetched := list(fetched_by_site(Path(config.site_dir))):
        raise PluginError("the site is to be read without a network, but fetches:\n" + "\n".join(fetched))


def _link(found: re.Match[str], source: str, files: Files) -> str:
    target, anchor = found["target"], found["anchor"] or ""
    if re.match(r"[a-z]+:", target):
        return found[0]
    path = normpath(str(PurePosixPath(source).parent / target))
    if path.startswith("src/ecg_flare/") and path.endswith(".py"):
        return f"{found['text']}[{_module(ROOT / path)}]"
    address = ROOT_PAGES.get(path) or ROOT_FILES.get(path) or path.removeprefix("docs/")
    if path.startswith("..") or files.get_file_from_path(address) is None:
        raise PluginError(f"{source} links to {target!r}, which is no page of the site: see docs/theme/house.py")
    return f"{found['text']}({address}{anchor})"


def _rooms(package: str) -> Iterator[Path]:
    """The folders of a package that hold modules, itself first."""
    top = PACKAGE / package
    yield top
    yield from sorted(path for path in top.rglob("*") if path.is_dir() and any(path.glob("*.py")))


def _address(room: Path) -> str:
    return f"api/{'/'.join(room.relative_to(PACKAGE).parts)}.md"


def _module(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room_page(room: Path) -> str:
    """A package's own docstring and names, then its modules."""
    name = _module(room)
    modules = [_module(path) for path in sorted(room.glob("*.py")) if path.name != "__init__.py"]
    own = f"# {name.removeprefix('ecg_flare.')}\n\n::: {name}\n    options: {{members: false}}\n\n"
    return own + "".join(f"::: {module}\n\n" for module in modules)


def _index() -> str:
    lines = ["# Reference", "", "Made from the docstrings of the source. Names that a package itself offers:", ""]
    for package in PACKAGES:
        lines += [f"- [`ecg_flare.{package}`]({package}.md)"]
    lines += ["- [shared modules](shared.md): errors, extensions, storage"]
    return "\n".join(lines) + "\n"
