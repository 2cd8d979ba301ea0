"""What mkdocs reads beside docs/*.md: README.md, what pages link to outside docs/, and a page for each package.

mkdocs calls `on_files` and `on_page_markdown`; mkdocs.yml names this file under `hooks`.
"""

from collections.abc import Iterator
import os
from pathlib import Path
from pathlib import PurePosixPath
import re
from typing import Any

import tickets_tf

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / 'tickets_tf'
# A link or a picture, of Markdown or of HTML: what stands before its target, the target, and the place in it.
_LINK = re.compile(r'(\]\(|(?:src|href)=")([^)\s"#:]+)(#[^)\s"]*)?(?=[)\s"])')


def on_files(files: Any, config: Any) -> Any:
  """Returns mkdocs' files in the order of the navigation: the home page, the guides, the API, what they link to."""
  from mkdocs.structure.files import File
  from mkdocs.structure.files import Files

  guides = [file for file in files if file.src_uri.endswith('.md')]
  home = File.generated(config, 'index.md', content=(ROOT / 'README.md').read_text(encoding='utf-8'))
  api = [File.generated(config, uri, content=content) for uri, content in _api_pages()]
  linked = [File.generated(config, _site_uri(path), abs_src_path=str(path))
            for path in _linked([ROOT / 'README.md', *(Path(file.abs_src_path) for file in guides)])]
  others = [file for file in files if file not in guides]
  return Files([home, *guides, *api, *linked, *others])


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
  """Returns the text of a page with its links, which are those of the repository, as those of the site."""
  source = _repository_path(page.file.src_uri)

  def site_link(match: re.Match[str]) -> str:
    target = _target(source, match[2])
    if not target:
      return match[0]
    relative = os.path.relpath(_site_uri(target), PurePosixPath(page.file.src_uri).parent)
    if match[1].endswith('"'):
      relative = relative.removesuffix('.md') + ('.html' if relative.endswith('.md') else '')
    return f'{match[1]}{Path(relative).as_posix()}{match[3] or ""}'

  return _LINK.sub(site_link, markdown)


def _api_pages() -> Iterator[tuple[str, str]]:
  """Yields (place, text) of the page of the names in `tickets_tf`, and of each package or module in it."""
  names = '\n\n'.join(f'::: tickets_tf.{name}' for name in tickets_tf.__all__)
  yield 'api/index.md', f'# API: tickets_tf\n\nThe stable part of the package.\n\n{names}\n'
  for path in sorted(PACKAGE.iterdir()):
    name = path.name.removesuffix('.py')
    if not name.startswith('_') and (path.suffix == '.py' or (path / '__init__.py').exists()):
      files = [each.relative_to(PACKAGE) for each in sorted(path.rglob('*.py')) or [path]]
      modules = [file.parent if file.stem == '__init__' else file.with_suffix('') for file in files]
      blocks = [f'::: tickets_tf.{".".join(module.parts)}' for module in modules]
      yield f'api/{name}.md', '\n\n'.join([f'# {name}', *blocks]) + '\n'


def _linked(pages: list[Path]) -> list[Path]:
  """Returns the files outside docs/ that pages link to, and those that these link to."""
  found: dict[Path, None] = {}
  while pages:
    page = pages.pop()
    for match in _LINK.finditer(page.read_text(encoding='utf-8')):
      target = _target(page, match[2])
      if target and target not in found and target != ROOT / 'README.md' and ROOT / 'docs' not in target.parents:
        found[target] = None
        if target.suffix == '.md':
          pages.append(target)
  return sorted(found)


def _target(page: Path, link: str) -> Path | None:
  """Returns the file in the repository that a link leads to, for a folder its README.md; None if there is none."""
  path = (page.parent / link).resolve()
  if path.is_dir():
    path /= 'README.md'
  return path if path.is_file() and ROOT in path.parents else None


def _site_uri(path: Path) -> str:
  place = path.relative_to(ROOT).as_posix()
  return 'index.md' if place == 'README.md' else place.removeprefix('docs/')


def _repository_path(uri: str) -> Path:
  if uri == 'index.md':
    return ROOT / 'README.md'
  return ROOT / 'docs' / uri if (ROOT / 'docs' / uri).exists() else ROOT / uri
