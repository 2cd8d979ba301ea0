"""The scoreboard's plots: what is drawn is what was found, where it belongs, and can be read."""

import dataclasses
import itertools
import json
import re

import numpy as np
import pytest
import scipy

from tests import example_records
from tests.report import sanity_verdicts
from tests.report.html_page import Page
from tickets_tf.pruning import layer_ratios
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.mask import Mask
from tickets_tf.report import drawing
from tickets_tf.report.scoreboard import cells
from tickets_tf.report.scoreboard import figures
from tickets_tf.report.scoreboard.figures import bands
from tickets_tf.report.scoreboard.figures import drawings
from tickets_tf.report.scoreboard.figures import exported
from tickets_tf.report.scoreboard.figures import mask_of_layer
from tickets_tf.report.scoreboard.figures import overlap
from tickets_tf.report.scoreboard.figures import panels
from tickets_tf.report.scoreboard.found import Found
from tickets_tf.report.scoreboard.found import find
from tickets_tf.runs import records
from tickets_tf.runs.mask_history import MaskChange
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings

SHAPES = {'conv1': (3, 3, 3, 8), 'block1_conv1': (3, 3, 8, 8), 'block1_shortcut': (1, 1, 8, 8), 'classifier': (8, 10)}
MANY = ('magnitude', 'snip', 'grasp', 'synflow', 'obd', 'lottery', 'lr_rewinding', 'hybrid', 'gradual', 'static',
        'rigl', 'random')
DATASET = records.DatasetSize('digits', 1280, 1000, 0, 10, (8, 8, 1))


def write(folder, accuracies, density=None, history=(), export=None, empty=(), **settings):
  """Writes runs of seeds 0, 1, ... with accuracies in percent, masks and metrics; returns their folders."""
  folders = []
  for seed, accuracy in enumerate(accuracies):
    run = Run(Settings(**{'model': 'resnet8', 'epochs': 4, 'seed': seed, **settings, 'output_dir': str(folder)}))
    rng = np.random.default_rng([seed, len(settings['pruner'])])
    density = density or 1 - run.settings.ratio
    mask = Mask((name, rng.random(shape) < (0 if name in empty else density)) for name, shape in SHAPES.items())
    run.folder.path.mkdir(parents=True)
    mask.save(run.folder.mask)
    run.folder.metrics.write_text(''.join(json.dumps({
        'epoch': epoch, 'evaluation_accuracy': accuracy / 100 - 0.1 / epoch}) + '\n' for epoch in (1, 2, 3, 4)))
    layers = tuple(records.Layer(name, array.shape, array.size, int(array.sum()), None, None)
                   for name, array in mask.items())
    records.write(run.folder.path, example_records.record(
        run, layers=layers, dataset=DATASET, settled_accuracy=accuracy / 100, mask_history=history, export=export))
    folders.append(run.folder.path)
  return folders


def drawn(*folders):
  found = find(folders)
  made = figures.draw(found, cells.tables(found.runs))
  return {each.name: each for each in made}, dict(made.left_out)


def painted(each):
  """Returns the axes of a drawing, as it is on paper."""
  with drawing.in_style(each.name, drawings.PAPER, {'svg.fonttype': 'path', 'figure.facecolor': 'white'}):
    found = each.paint().figure
    found.draw_without_rendering()
  return found.axes


def title(axes):
  return ' '.join(reversed([each.get_text() for each in axes.texts if each.get_ha() == 'left']))


def lines(axes, marker=None):
  """Returns [(x, y)] of the lines of axes, in the order in which they were drawn."""
  return [each.get_xydata().T.tolist() for each in axes.lines if marker in (None, each.get_marker())]


@pytest.fixture(scope='module')
def few(tmp_path_factory):
  """Two rules at two ratios with three seeds, a dense network that is near, and a check."""
  folder = tmp_path_factory.mktemp('few')
  write(folder, (92.0,), pruner='dense', density=2)
  write(folder, (91.0, 91.5, 92.2), pruner='random', ratio=0.9)
  write(folder, (85.0, 86.0, 86.5), pruner='random', ratio=0.95)
  write(folder, (90.0, 90.5, 91.9), pruner='snip', ratio=0.9, empty=('block1_shortcut',))
  write(folder, (84.0, 84.5), pruner='snip', ratio=0.95)
  write(folder, (80.0,), pruner='snip', ratio=0.9, check='rearrange')
  return folder


@pytest.fixture(scope='module')
def many(tmp_path_factory):
  """Twelve rules at two ratios, names of any length, moving masks, exports, verdicts of a sanity check."""
  folder = tmp_path_factory.mktemp('many')
  history = tuple(MaskChange(20 * update, (10, 20, 5, 5), 10 - update, 10 - update) for update in range(4))
  export = {'best': 'b.tflite', 'environment': {'processor': 'x'}, 'onnx': [], 'tflite': [
      {'file': name, 'bytes': size, 'accuracy': accuracy, 'latency': [{'threads': 1, 'milliseconds': time}]}
      for name, size, accuracy, time in (('a.tflite', 200_000, 0.9, 2.5), ('b.tflite', 51_200, 0.88, 0.5))]}
  for number, (rule, ratio) in enumerate(itertools.product(MANY, (0.9, 0.98))):
    write(folder, (80 + number % 5 - 90 * (ratio - 0.9),), pruner=rule, ratio=ratio, export=export,
          history=history if rule in ('rigl', 'gradual') else ())
  write(folder, (80,), pruner='lr_rewinding', ratio=0.98, allocation='erk', rounds=3, samples_per_class=20)
  write(folder, (99,), pruner='dense', density=2)
  from tickets_tf.judging import verdicts
  verdicts.write(folder / 'verdicts.json', sanity_verdicts.verdicts(('snip', 'random'), (0.9,), ('rearrange',), seeds=3,
                                                                    ladders=True))
  return folder


def test_accuracy_is_drawn_at_its_density_with_its_band(few):
  found = find([few])
  table, = cells.tables(found.runs)
  axes, = painted(drawn(few)[0]['accuracy-resnet8-digits'])
  of_random, of_snip = lines(axes)[:2]
  assert np.allclose(of_random, [[0.1, 0.05], [np.mean((91, 91.5, 92.2)), np.mean((85, 86, 86.5))]])
  assert np.allclose(of_snip, [[0.1, 0.05], [90.8, 84.25]])
  assert axes.get_xscale() == 'log'
  assert [each.get_text() for each in axes.get_xticklabels()] == ['5%', '10%']
  assert lines(axes)[2][1] == [92.0, 92.0], 'the dense network'
  # One band of two densities, and a bar at the one density of snip that has three seeds.
  intervals = bands.bands(table)
  assert set(intervals) == {('random', 0.9), ('random', 0.95), ('snip', 0.9)}
  ends = [path.vertices[:, 1].tolist() for each in axes.collections for path in each.get_paths()]
  for low, high in intervals.values():
    assert any(np.isclose(end, low).any() and np.isclose(end, high).any() for end in ends)
  assert {'random', 'snip'} <= {each.get_text() for each in axes.texts}


def test_captions_and_words_say_the_numbers(few):
  of = drawn(few)[0]
  each = of['accuracy-resnet8-digits']
  assert 'all 3 means of the table together with 95%' in each.caption and '1 mean of fewer than 3 seeds' in each.caption
  assert 'random: 10% kept 91.57 ± 0.60 [' in each.text and 'snip' in each.text and each.text.endswith('dense 92.00')
  assert 'snip + rearrange: 10% kept 80.00' in of['accuracy-resnet8-digits-checked'].text
  assert 'rearrange' not in each.text


def test_bands_hold_together():
  rng, table = np.random.default_rng(20), None
  held = []
  methods, ratios = ('a', 'b', 'c'), (0.9, 0.95)
  for _ in range(200):
    values = rng.normal(50, 1, (3, 2, 5))
    of = {(method, ratio): cells.Cell(method, ratio, (None,) * 5, sanity_verdicts.sample(values[row, column]), None)
          for row, method in enumerate(methods) for column, ratio in enumerate(ratios)}
    table = cells.Table('n', 'd', '', (), (), methods, ratios, of, DATASET)
    held.append(all(low < 50 < high for low, high in bands.bands(table).values()))
  # Six intervals of 95% each would hold together in about 74%.
  assert 0.92 < np.mean(held) <= 1
  low, high = bands.bands(table)['a', 0.9]
  wide = 2 * scipy.stats.t.isf(0.025 / 6, 4) * values[0, 0].std(ddof=1) / np.sqrt(5)
  assert 0.3 * wide < high - low < 1.5 * wide


def test_a_dense_network_far_away_is_pointed_at(tmp_path):
  write(tmp_path, (99.0,), pruner='dense', density=2)
  for rule in ('random', 'snip'):
    for ratio in (0.9, 0.95):
      write(tmp_path, (40.0,), pruner=rule, ratio=ratio)
  axes, = painted(drawn(tmp_path)[0]['accuracy-resnet8-digits'])
  assert len(axes.lines) == 2 and 'dense 99.00 ↑' in [each.get_text() for each in axes.texts]
  assert np.ptp(axes.get_ylim()) >= 2, 'what is equal does not look different'


def test_many_rules_have_a_panel_each(many):
  axes = painted(drawn(many)[0]['accuracy-resnet8-digits'])
  assert len(axes) == 13 and {'random', 'snip', 'hybrid'} <= set(map(title, axes))
  own = {title(each): lines(each, 'o') for each in axes}
  number = MANY.index('hybrid') * 2
  assert np.allclose(own['hybrid'], [[[0.1, 0.02], [80 + number % 5, 80 + (number + 1) % 5 - 7.2]]])
  # Behind it all others, luck with dashes.
  hybrid = next(each for each in axes if title(each) == 'hybrid')
  assert len(hybrid.lines) == 13
  assert [each.get_ydata()[0] for each in hybrid.lines if each.get_linestyle() == '--'] == [80 + 22 % 5]
  assert len({each.get_ylim() for each in axes}) == 1


def test_one_density_is_a_row_for_each_rule(tmp_path):
  write(tmp_path, (90.0, 91.0, 92.0), pruner='snip', ratio=0.9)
  write(tmp_path, (80.0,), pruner='random', ratio=0.9)
  axes, = painted(drawn(tmp_path)[0]['accuracy-resnet8-digits'])
  assert lines(axes, 'o') == [[[80.0], [0.0]], [[pytest.approx(91.0)], [1.0]]]
  assert '10% kept' in axes.get_xlabel()


def test_forests_have_each_comparison_at_its_drop_and_waterfalls_their_ends(many):
  of = drawn(many)[0]
  (path, verdicts), = find([many]).verdicts
  axes, = painted(of['forest-luck-resnet20-cifar10'])
  assert [x for line in lines(axes, 'D') for x in line[0]] == pytest.approx([each.drop for each in verdicts.luck])
  assert 'snip' in of['forest-luck-resnet20-cifar10'].text
  # What is the same by construction is no comparison.
  same = tuple(dataclasses.replace(each, unaffected=each.rule == 'snip') for each in verdicts.luck)
  luck = figures.draw(Found((), ((path, dataclasses.replace(verdicts, luck=same)),), ()), []).drawings[0]
  assert 'random' in luck.text and 'snip' not in luck.text
  asked = [each for each in verdicts.judgements if each.rule == 'snip']
  axes, = painted(next(each for name, each in of.items() if re.match(r'forest-\d-snip', name)))
  assert [x for line in lines(axes, 'D') for x in line[0]] == pytest.approx([each.drop for each in asked])
  ladder = verdicts.ladders[0]
  axes, = painted(of[f'waterfall-1-{ladder.rule}-0.9-resnet20-cifar10'])
  assert [line[0][0] for line in lines(axes, 'o')] == pytest.approx([ladder.rungs[0].mean, ladder.rungs[-1].mean])


def test_keep_ratios_stand_beside_closed_forms(few):
  found = find([few])
  of_random, of_snip = painted(drawn(few)[0]['layers-resnet8-digits-0.9'])
  kernels = [Kernel(name, shape, 'dense' if len(shape) == 2 else 'conv', classifier=name == 'classifier', residual=True)
             for name, shape in SHAPES.items()]
  of_ratio = [run.record for run in found.runs
              if run.record.settings.ratio == 0.9 and not run.record.settings.check]
  runs = {rule: [record for record in of_ratio if record.settings.pruner == rule] for rule in ('random', 'snip')}
  keep = runs['random'][0].kept
  closed = [np.divide(form(kernels, keep), [kernel.size for kernel in kernels])
            for form in (layer_ratios.erk, layer_ratios.balanced)]
  for axes, rule in ((of_random, 'random'), (of_snip, 'snip')):
    assert title(axes) == rule and axes.get_yscale() == 'log'
    own = np.mean([[layer.kept / layer.weights for layer in record.layers] for record in runs[rule]], axis=0)
    drawn_lines = [y for _, y in lines(axes)]
    assert np.allclose(drawn_lines[1:3], closed)
    assert np.allclose(np.nan_to_num(drawn_lines[3]), own)
  assert [x for x, _ in lines(of_snip, 'X')] == [[3]] and [x for x, _ in lines(of_random, 'X')] == [[]]


def test_overlap_is_intersection_over_union_beside_chance(few):
  random, snip = ([Mask((name, np.random.default_rng([seed, number]).random(shape) < density)
                         for name, shape in SHAPES.items()) for seed in range(200)]
                  for number, density in ((1, 0.3), (2, 0.6)))
  packed = [overlap.Packed(tuple(zip(each.names, each.shapes, strict=True)),
                           np.packbits(np.concatenate([array.ravel() for array in each.arrays])),
                           np.array(each.counts, float), np.array(each.sizes, float)) for each in (random[0], snip[0])]
  found = overlap.Shared.by(*packed)
  assert found.union == pytest.approx(random[0].overlap(snip[0]))
  assert found.chance == pytest.approx(np.mean([a.overlap(b) for a, b in zip(random, snip, strict=True)]), abs=0.01)
  assert overlap.Shared.by(packed[0], packed[0]).beyond == 1
  axes, = painted(drawn(few)[0]['overlap-resnet8-digits-0.95'])
  masks = {rule: [np.concatenate([array.ravel() for array in overlap.load_mask(run.folder / 'mask.npz').arrays])
                  for run in find([few]).runs if run.record.settings.pruner == rule
                  and run.record.settings.ratio == 0.95] for rule in ('random', 'snip')}

  def union(pairs):
    return f'{100 * np.mean([(a & b).sum() / (a | b).sum() for a, b in pairs]):.0f}'

  cell = {each.xy: each.get_text() for each in axes.texts if each.get_va() == 'bottom'}
  assert cell == {(0, 0): union(itertools.combinations(masks['random'], 2)),
                  (1, 1): union([masks['snip']]),
                  (0, 1): union(zip(masks['random'], masks['snip'], strict=False))}


def test_masks_of_one_seed_or_of_other_networks_have_no_overlap():
  one, other = (overlap.Packed((('a', (8,)),) * number, np.array([255], np.uint8), np.array([8.0]), np.array([8.0]))
                for number in (1, 2))
  assert overlap.shared([{0: one}]) == {} and overlap.shared([{0: one}, {0: other}]) == {}
  assert set(overlap.shared([{0: one}, {0: one, 1: one}])) == {(1, 0), (1, 1)}


def test_training_curves_are_those_of_the_metrics(few):
  axes = painted(drawn(few)[0]['training-resnet8-digits'])
  random = next(each for each in axes if title(each) == 'random')
  wanted = [[[1, 2, 3, 4], [accuracy - 10 / epoch for epoch in (1, 2, 3, 4)]]
            for accuracy in (91.0, 91.5, 92.2, np.mean((91, 91.5, 92.2)))]
  assert np.allclose(lines(random)[:4], wanted)
  assert [title(each) for each in axes] == ['dense', 'random', 'snip', 'snip + rearrange']


def test_what_is_damaged_is_named_and_the_rest_is_drawn(tmp_path):
  folders = write(tmp_path, (90, 91, 92), pruner='snip', ratio=0.9, export={'best': 1, 'tflite': [{}]})
  (folders[0] / 'metrics.jsonl').write_text('{"epoch": 1')
  (folders[0] / 'mask.npz').write_text('no mask')
  (folders[1] / 'metrics.jsonl').unlink()
  made, left_out = drawn(tmp_path)
  assert {'training-resnet8-digits', 'overlap-resnet8-digits-0.9'} <= set(made)
  assert left_out[str(folders[1] / 'metrics.jsonl')] == 'no training curve: there is no such file'
  assert left_out[str(folders[0] / 'metrics.jsonl')].startswith('no training curve: ')
  assert 'export of another form' in left_out[str(folders[2])]
  told = figures.draw(find([tmp_path]), cells.tables(find([tmp_path]).runs)).left_out
  assert any(what == str(folders[0]) and 'overlap' in why for what, why in told)
  assert all('\n' not in why for _, why in told)


def test_the_density_of_moving_masks(many):
  axes = painted(drawn(many)[0]['density-resnet8-digits'])
  assert [title(each) for each in axes[::2]] == ['gradual', 'rigl']
  weights = sum(map(np.prod, SHAPES.values()))
  (steps, kept), = {tuple(map(tuple, each)) for each in lines(axes[0])}
  assert steps == (0, 20, 40, 60, 80) and np.allclose(kept, 100 * 40 / weights)
  assert lines(axes[1])[0][1] == [25.0, 22.5, 20.0, 17.5]


def test_exported_files_are_where_their_size_and_accuracy_are(many):
  of = drawn(many)[0]
  for name, wanted in (('size-resnet8-digits', {(195.3125, 90.0): 'none', (50.0, 88.0): drawing.COLOURS['series-0']}),
                       ('latency-resnet8-digits', {(2.5, 90.0): 'none', (0.5, 88.0): drawing.COLOURS['series-0']})):
    random = next(each for each in painted(of[name]) if title(each) == 'random')
    found = {tuple(np.ravel(line.get_xydata())): line.get_markerfacecolor() for line in random.lines
             if line.get_zorder() == 3 and line.get_marker() == 'o'}
    assert found == wanted
  assert 'b.tflite at ratio 0.9, seed 0, the best: 50 KiB, 88.00%' in of['size-resnet8-digits'].text


@pytest.mark.parametrize('low, high', [(0.5, 0.9), (45, 1100), (1e-3, 1e5), (7.2, 7.6)])
def test_numbers_on_a_logarithmic_axis_have_room(low, high):
  found = exported.ticks(low, high, 120)
  assert len(found) <= 3 and all(low <= value <= high for value in found)
  assert found or high / low < 1.1


def test_a_mask_is_drawn_weight_by_weight(few):
  bits = np.zeros((3, 3, 2, 4), bool)
  bits[0, 1, 1, 2] = bits[2, 2, 0, 0] = bits[2, 2, 0, 3] = True
  assert sorted(zip(*np.nonzero(mask_of_layer.arranged(bits)), strict=True)) == [(2, 2), (2, 11), (3, 7)]
  of = drawn(few)[0]['mask-resnet8-digits']
  assert 'block1_conv1' in of.title, 'the largest convolution'
  for axes in painted(of):
    rule = title(axes).split(',')[0]
    run = next(run for run in find([few]).runs if run.record.settings.pruner == rule and run.record.seed == 0
               and run.record.settings.ratio == 0.95)
    image = mask_of_layer.arranged(overlap.load_mask(run.folder / 'mask.npz')['block1_conv1'])
    path = axes.patches[0].get_path()
    inside = [[path.contains_point((column + 0.5, row + 0.5)) for column in range(24)] for row in range(24)]
    assert np.array_equal(inside, image)


def test_no_layer_is_too_large_to_be_seen():
  def layer(name, *shape):
    return records.Layer(name, shape, int(np.prod(shape)), 1, None, None)

  small, large, dense, huge = (layer('a', 3, 3, 3, 8), layer('b', 3, 3, 64, 64), layer('c', 40, 50),
                               layer('d', 512, 512))
  assert mask_of_layer.chosen([large, small, dense]) == small and mask_of_layer.chosen([large, dense]) == dense
  assert mask_of_layer.chosen([huge, large]) == large and mask_of_layer.chosen([huge]) is None


@pytest.mark.parametrize('study', ['few', 'many'])
def test_no_text_lies_on_another_or_outside(study, request):
  for each in drawn(request.getfixturevalue(study))[0].values():
    axes = painted(each)
    figure = axes[0].figure
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts_of(figure, axes)]
    for text, box in boxes:
      assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1, (
          each.name, text)
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
      assert min(a.x1, b.x1) - max(a.x0, b.x0) < 1 or min(a.y1, b.y1) - max(a.y0, b.y0) < 2, (each.name, one, other)


def texts_of(figure, axes):
  """Returns all texts that are seen."""
  found = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
  for each in axes:
    found += [*each.texts, each.xaxis.label, each.yaxis.label]
    for axis in (each.xaxis, each.yaxis):
      low, high = sorted(axis.get_view_interval())
      found += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
  return [text for text in found if text.get_visible() and text.get_text().strip()]


def test_files_are_for_print_and_the_same_each_time(few, tmp_path):
  # A line, a picture of many patches, and panels.
  kinds = ('accuracy-resnet8-digits', 'mask-resnet8-digits', 'overlap-resnet8-digits-0.95')
  for folder in ('a', 'b'):
    of = drawn(few)[0]
    names = [path.name for path in figures.write([of[kind] for kind in kinds], tmp_path / folder)]
  assert sorted(names) == [f'{kind}.{form}' for kind in kinds for form in ('png', 'svg')]
  for name in names:
    content = (tmp_path / 'a' / name).read_bytes()
    assert content == (tmp_path / 'b' / name).read_bytes() and len(content) > 1000
    if name.endswith('.svg'):
      colours = set(re.findall('#[0-9a-f]{6}', content.decode()))
      assert colours <= {*drawings.PAPER.values(), '#ffffff'} and b'<dc:date>' not in content
    else:
      assert content[:8] == b'\x89PNG\r\n\x1a\n'


def test_in_a_page_colours_are_the_pages_and_words_stand_for_the_plot(few):
  for each in drawn(few)[0].values():
    svg = Page(each.svg())
    root, = svg.find('svg')
    assert root[0]['role'] == 'img' and root[0]['aria-label'] == f'{each.title}. {each.text}'
    for style in svg.values('style'):
      assert not re.search('#[0-9a-f]{3,}', style), style
      assert {name for name in re.findall(r'var\(--([\w-]+)\)', style)} <= set(drawing.COLOURS)


def test_names_cannot_do_harm(few):
  found = find([few])
  table, = cells.tables(found.runs)
  evil = '<script>alert(1)</script>"\x00'
  made = figures.draw(found, [dataclasses.replace(table, network=evil, dataset='../../etc')])
  assert made
  for each in made:
    assert re.fullmatch('[a-z0-9.-]+', each.name) and '..' not in each.name
  assert '<script' not in made.drawings[0].svg()


def test_colours_can_be_told_apart_in_grey_and_read_on_white():
  def luminance(colour):
    channels = [int(colour[place:place + 2], 16) / 255 for place in (1, 3, 5)]
    return np.dot((0.2126, 0.7152, 0.0722), [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055)**2.4
                                            for each in channels])

  for name, colour in drawings.PAPER.items():
    if name not in ('line', 'band'):
      assert 1.05 / (luminance(colour) + 0.05) >= 4.5, name
  assert set(drawings.PAPER) == set(drawing.COLOURS)
  assert len({marker for marker, _ in panels.SERIES}) == len({line for _, line in panels.SERIES}) == panels.MOST


def test_nothing_found_is_told_for_each_plot():
  made = figures.draw(Found((), (), ()), [])
  assert not made.drawings and len(made) == 0
  assert made.left_out == tuple((figure.title, figure.needs) for figure in figures.FIGURES)


def test_several_tables_have_names_of_their_own(tmp_path):
  for epochs in (2, 4):
    for rule in ('random', 'snip'):
      write(tmp_path, (90, 91), pruner=rule, ratio=0.9, epochs=epochs)
  found = find([tmp_path])
  made = figures.draw(found, cells.tables(found.runs))
  assert len({each.name for each in made}) == len(made) == len({each.title for each in made})
  assert {'accuracy-resnet8-digits-1', 'accuracy-resnet8-digits-2'} <= {each.name for each in made}


def test_names_at_the_ends_of_lines_keep_apart():
  assert panels.apart([0, 100, 50], 14) == [0, 100, 50]
  assert panels.apart([20, 10, 0], 14) == pytest.approx([24, 10, -4])
  found = panels.apart([10, 11, 12, 60, 11.5], 14)
  assert np.all(np.diff(sorted(found)) >= 14 - 1e-9) and list(np.argsort(found)) == [0, 1, 4, 2, 3]
  assert np.mean(sorted(found)[:4]) == pytest.approx(np.mean([10, 11, 12, 11.5]))


@pytest.mark.parametrize('title_, lines_', [
    ('snip', ['snip']),
    ('lr_rewinding + rearrange', ['lr_rewinding +', 'rearrange']),
    ('a.package.of_mine:score', ['a.package.of_m', 'ine:score']),
    ('snip (allocation=erk, rounds=3, samples_per_class=100)', ['snip (allocat…', '_per_class=100)'[-13:]]),
])
def test_long_names_take_two_lines(title_, lines_):
  assert panels.lines_of(title_, 14) == lines_
