"""A page as the standard library's parser sees it."""

import html.parser
import re

VOID = {'br', 'col', 'hr', 'img', 'input', 'link', 'meta', 'source', 'wbr'}


class Page(html.parser.HTMLParser):
  """Elements of a page: `elements` (tag, attributes, text inside), `text` in order; what is not closed is an error."""

  def __init__(self, source):
    super().__init__()
    self.elements, self._open = [], []
    self.feed(source)
    self.close()
    assert not self._open, f'never closed: {[tag for tag, _, _ in self._open]}'

  def handle_starttag(self, tag, attrs):
    assert len(attrs) == len(dict(attrs)), f'an attribute comes twice in {tag}'
    element = (tag, dict(attrs), [])
    self.elements.append(element)
    if tag not in VOID:
      self._open.append(element)

  def handle_endtag(self, tag):
    assert self._open and self._open[-1][0] == tag, f'</{tag}> closes {self._open[-1:]}'
    self._open.pop()

  def handle_data(self, data):
    for _, _, text in self._open:
      text.append(data)

  def find(self, tag, **attributes):
    """Returns [(attributes, text on one line)] of all such elements; an attribute has to hold the word given."""
    wanted = {key.rstrip('_'): value for key, value in attributes.items()}
    return [(found, ' '.join(''.join(text).split())) for name, found, text in self.elements if name == tag and all(
        value in (found.get(key) or '').split() for key, value in wanted.items())]

  def tags(self):
    return {tag for tag, _, _ in self.elements}

  def values(self, attribute):
    return [found[attribute] for _, found, _ in self.elements if attribute in found]

  def references(self):
    """Returns everything that an attribute or a style sheet points at."""
    sheets = [text for _, text in self.find('style')]
    everything = [value or '' for _, found, _ in self.elements for value in found.values()] + sheets
    return [*(value for name in ('href', 'src', 'xlink:href', 'action', 'data', 'poster', 'srcset')
              for value in self.values(name)),
            *(target.strip('\'" ') for value in everything for target in re.findall(r'url\(([^)]*)\)', value)),
            *(target for value in everything for target in re.findall(r'@import[^;]*', value))]
