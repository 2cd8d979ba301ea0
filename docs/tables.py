"""Writes the lists of names in README.md and docs/*.md, from the tables that the code uses: python docs/tables.py.

A list stands between `<!-- NAME -->` and `<!-- /NAME -->`, NAME being a name in `LISTS`.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import inspect
import pathlib
import re
from typing import Any

from tickets_tf import registry
from tickets_tf.export import tflite
from tickets_tf.pruning import rules
from tickets_tf.runs import settings

ROOT = pathlib.Path(__file__).resolve().parents[1]
GROUPS = {'The ticket': settings.TicketSettings, 'The images': settings.DataSettings,
          'The network': settings.NetworkSettings, 'The training': settings.TrainingSettings,
          'The machine': settings.MachineSettings, 'What is left and shown': settings.OutputSettings,
          'Which training': settings.PhaseSettings}
# What the functions of a table take without being asked, so that everything else is an option.
_GIVEN = {'model', 'images', 'labels', 'rng', 'ratio', 'kernels', 'keep', 'scores'}

# Patterns that share a module; of others the module's docstring says it.
_WHERE = {'unstructured': 'anywhere',
          '1x4': 'in whole blocks of 4 inputs of one output; TFLite computes dense layers of this kind sparse',
          '2:4': 'at most 2 of every 4 inputs of one output, for GPUs with sparse tensor cores'}


def pages() -> list[pathlib.Path]:
  """Returns the pages that may hold lists."""
  return [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]


def filled(text: str) -> str:
  """Returns a page with its lists as the tables have them now.

  Raises:
    KeyError: for a list that there is not.
  """
  def fill(match: re.Match[str]) -> str:
    return f'<!-- {match[1]} -->\n{LISTS[match[1]]()}\n<!-- /{match[1]} -->'

  return re.sub(r'<!-- (\w+) -->\n.*?<!-- /\1 -->', fill, text, flags=re.DOTALL)


def _names() -> str:
  kinds = {'rules': rules.RULES, 'scores': registry.SCORES, 'allocations': registry.ALLOCATIONS,
           'mask updates': registry.MASK_UPDATES,
           'patterns': registry.PATTERNS, 'sanity checks': registry.CHECKS, 'networks': registry.MODELS,
           'data sets': registry.DATASETS}
  rows = [(kind, _code(table.names())) for kind, table in kinds.items()]
  return _table(('', 'names'), [*rows, ('TFLite forms', _code(tflite.VARIANTS))])


def _rules() -> str:
  def row(name: str) -> tuple[str, ...]:
    rule = rules.RULES.get(name)
    if rule.given or not rule.prunes:
      return (f'`{name}`', '', '', '', '', '', '', '', rule.source)
    rewound_to = 'epoch `--rewind_epoch`' if rule.rewound_to == 'epoch' else rule.rewound_to
    return (f'`{name}`', str(rule.score), str(rule.allocation), rule.scored_at, rewound_to, str(rule.rounds),
            rule.mask_updates, rule.rates, rule.source)

  return _table(('`--pruner`', 'score', 'allocation', 'scored at', 'rewound to', 'rounds', 'mask updates', 'rates',
                 'what it is'),
                map(row, rules.RULES.names()))


def _scores() -> str:
  return _functions('score', registry.SCORES)


def _allocations() -> str:
  return _functions('`--allocation`', registry.ALLOCATIONS)


def _mask_updates() -> str:
  rows = []
  for name in registry.MASK_UPDATES.names():
    update = registry.MASK_UPDATES.get(name)
    options = list(inspect.signature(update.change).parameters.values())[1:] if update.change else []
    rows.append((f'`{name}`', update.what, _code(f'{each.name}={each.default}' for each in options
                                                 if each.kind is not inspect.Parameter.VAR_KEYWORD)))
  return _table(('`--mask_updates`', 'what happens to the mask', 'options'), rows)


def _patterns() -> str:
  def where(name: str) -> str:
    return _WHERE.get(name) or _first(inspect.getmodule(registry.PATTERNS.get(name).select))

  return _table(('`--pattern`', 'where kept weights may sit'),
                [(f'`{name}`', where(name)) for name in registry.PATTERNS.names()])


def _checks() -> str:
  first: dict[int, str] = {}
  rows = []
  for name in registry.CHECKS.names():
    check = registry.CHECKS.get(name)
    same = first.setdefault(id(check), name)
    made = f'another name of `{same}`' if same != name else 'always' if check.always else 'if it is named'
    rows.append((f'`{name}`', check.seam, check.change, check.question, made))
  return _table(('`--check`', 'acts on', 'what changes', 'what it asks', 'made'), rows)


def _datasets() -> str:
  return _table(('`--dataset`', 'what it is'), _described(registry.DATASETS))


def _networks() -> str:
  return _table(('`--model`', 'what it is'), _described(registry.MODELS))


def _settings() -> str:
  return '\n\n'.join(f'## {title}\n\n{_first(group)}\n\n{_group(group)}' for title, group in GROUPS.items())


def _group(group: type) -> str:
  # A group may derive from others; its own fields are those that stand in it.
  own = [field for field in dataclasses.fields(group) if field.name in vars(group)['__annotations__']]
  return _table(('flag', 'default', 'what it is'), [_setting(field) for field in own])


def _setting(field: 'dataclasses.Field[Any]') -> tuple[str, ...]:
  known = field.metadata['choices'] or (field.metadata['names'].names() if field.metadata['names'] else ())
  text = field.metadata['help'] + (f' ({_code(known)})' if known else '')
  if isinstance(field.default, bool):
    return (f'`--{field.name}`, `--no{field.name}`', 'on' if field.default else 'off', text)
  return (f'`--{field.name}`', f'`{field.default}`' if field.default != '' else '', text)


def _functions(head: str, table: registry.Registry) -> str:
  rows = []
  for name, text in _described(table):
    parameters = inspect.signature(table.get(name.strip('`'))).parameters.values()
    options = [str(each.replace(annotation=inspect.Parameter.empty)) for each in parameters if each.name not in _GIVEN]
    rows.append((name, text, _code(options)))
  return _table((head, 'what it is', 'options'), rows)


def _described(table: registry.Registry) -> Iterator[tuple[str, str]]:
  for name in table.names():
    yield f'`{name}`', _first(table.get(name))


def _first(entry: Any) -> str:
  """Returns the first paragraph of a docstring."""
  return ' '.join((inspect.getdoc(entry) or '').partition('\n\n')[0].split())


def _code(names: Iterable[str]) -> str:
  return ', '.join(f'`{name}`' for name in names)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
  lines = [list(head), *([cell.replace('|', '\\|') for cell in row] for row in rows)]
  lines.insert(1, ['---'] * len(lines[0]))
  return '\n'.join(f'| {" | ".join(cells)} |' for cells in lines)


LISTS: dict[str, Callable[[], str]] = {
    'names': _names,
    'rules': _rules,
    'scores': _scores,
    'allocations': _allocations,
    'mask_updates': _mask_updates,
    'patterns': _patterns,
    'checks': _checks,
    'datasets': _datasets,
    'networks': _networks,
    'settings': _settings,
}


if __name__ == '__main__':
  for page in pages():
    page.write_text(filled(page.read_text(encoding='utf-8')), encoding='utf-8')
