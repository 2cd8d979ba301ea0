import itertools

import numpy as np
import pytest

from tickets_tf.exchange import Container, Stored, matching
from tickets_tf.exchange.containers import NETWORK, NONE, WRITER, Mismatch
from tickets_tf.pruning.kernels import Kernel


def conv(name, inputs, outputs, size=3):
  return Kernel(name, (size, size, inputs, outputs), 'conv')


def dense(name, inputs, outputs):
  return Kernel(name, (inputs, outputs), 'dense')


def torch(name, outputs, inputs, size=3):
  return name, (outputs, inputs, size, size)


def match(arrays, kernels, layout='auto', order=NONE, layouts=('keras', 'torch')):
  """Returns {kernel name: array name} and the matching; `arrays` are (name, shape) pairs or kernels."""
  arrays = [(each.name, each.shape) if isinstance(each, Kernel) else each for each in arrays]
  if order == NONE:
    arrays = sorted(arrays)
  stored = [Stored(name, shape, lambda: pytest.fail('matching reads no values')) for name, shape in arrays]
  found = matching.match(Container(stored, order, layouts), kernels, layout)
  assert [each.kernel for each in found.matches] == list(kernels)
  assert len({each.array.name for each in found.matches}) == len(kernels)
  return {each.kernel.name: each.array.name for each in found.matches}, found


def how(found):
  return [each.how for each in found.matches]


BODY = [conv('c1', 3, 8), conv('c2', 8, 8), conv('c3', 8, 8), conv('c4', 8, 8), dense('last', 8, 10)]


def test_by_name_whatever_the_order():
  arrays = [('module.last.weight', (10, 8)), torch('module.c4.weight', 8, 8), torch('module.c2.weight', 8, 8),
            torch('module.c1.weight', 8, 3), torch('module.c3.weight', 8, 8), ('module.c1.bias', (8,))]
  for order in (NONE, WRITER, NETWORK):
    pairs, found = match(arrays, BODY, order=order)
    assert pairs == {kernel.name: f'module.{kernel.name}.weight' for kernel in BODY}
    assert found.layout == 'torch' and how(found) == ['name'] * 5 and not found.unused


def test_masks_go_before_the_weights_that_they_mask():
  arrays = [each for kernel in BODY for each in [(f'{kernel.name}.weight_orig', kernel.shape),
                                                 (f'{kernel.name}.weight_mask', kernel.shape)]]
  assert match(arrays, BODY)[0] == {kernel.name: f'{kernel.name}.weight_mask' for kernel in BODY}
  renamed = [(f'features.{name}', shape) for name, shape in arrays]
  assert match(renamed, BODY)[0] == {kernel.name: f'features.{kernel.name}.weight_mask' for kernel in BODY}


def test_by_shape_and_by_the_order_that_numbers_tell():
  arrays = [torch('stem.weight', 8, 3), *(torch(f'blocks.{number}.weight', 8, 8) for number in (2, 9, 10)),
            ('head.weight', (10, 8)), ('head.bias', (10,)), ('position', (1, 50, 8))]
  pairs, found = match(arrays, BODY)
  assert list(pairs.values()) == ['stem.weight', 'blocks.2.weight', 'blocks.9.weight', 'blocks.10.weight',
                                  'head.weight']
  assert how(found) == ['shape', 'order', 'order', 'order', 'shape']
  assert [array.name for array in found.unused] == ['position']


def test_by_the_order_of_the_file_where_it_means_something():
  arrays = [(name, kernel.shape) for name, kernel in zip(['stem', 'x', 'red', 'body', 'head'], BODY, strict=True)]
  for order in (WRITER, NETWORK):
    pairs, _ = match(arrays, BODY, order=order)
    assert list(pairs.values()) == ['stem', 'x', 'red', 'body', 'head']
  with pytest.raises(Mismatch, match=r'body .* and red .* names do not tell which comes first; name the arrays as'):
    match(arrays, BODY)


def test_numbers_go_before_the_order_of_the_writer_but_not_of_keras():
  arrays = [(f'layer{number}', kernel.shape) for number, kernel in zip([1, 3, 2, 4, 5], BODY, strict=True)]
  assert list(match(arrays, BODY, order=WRITER)[0].values()) == ['layer1', 'layer2', 'layer3', 'layer4', 'layer5']
  assert list(match(arrays, BODY, order=NETWORK)[0].values()) == ['layer1', 'layer3', 'layer2', 'layer4', 'layer5']


def test_where_the_writer_lists_shortcuts_says_nothing():
  kernels = [conv('c1', 8, 8), conv('c2', 8, 8), conv('c1_shortcut', 8, 8, 1)]
  arrays = [torch('red.skip', 8, 8, 1), torch('red', 8, 8), torch('body', 8, 8)]
  assert list(match(arrays, kernels, 'torch', WRITER)[0].values()) == ['red', 'body', 'red.skip']


def test_the_order_of_the_writer_must_not_contradict_numbers():
  kernels = [*BODY, conv('c5', 8, 4, 1), conv('c6', 8, 4, 1)]
  names = ['stem', 'layer3', 'layer2', 'layer4', 'head', 'x', 'a']
  with pytest.raises(Mismatch, match=r'the order of layer2 .* and layer3 .* is not that of the kernels'):
    match([(name, kernel.shape) for name, kernel in zip(names, kernels, strict=True)], kernels, order=WRITER)
  names[1:3] = 'layer2', 'layer3'
  arrays = [(name, kernel.shape) for name, kernel in zip(names, kernels, strict=True)]
  assert list(match(arrays, kernels, order=WRITER)[0].values()) == names


def test_an_order_that_fails_somewhere_is_not_believed_elsewhere():
  arrays = [('a', BODY[1].shape), ('b', BODY[2].shape), ('c', BODY[3].shape), ('stem', BODY[0].shape),
            ('head', BODY[4].shape)]
  with pytest.raises(Mismatch, match=r'the order of stem .* and a .* is not that of the kernels .* c1 .* c2'):
    match(arrays, BODY, order=WRITER)
  kernels = [conv('one', 8, 8), conv('down', 8, 16), conv('two', 8, 8)]
  arrays = [torch('layers.1.w', 8, 8), torch('layers.2.w', 8, 8), torch('layers.3.w', 16, 8)]
  with pytest.raises(Mismatch, match=r'the order of layers\.3\.w .* and layers\.2\.w'):
    match(arrays, kernels)


def bottleneck(stage, block, shortcut, shortcut_name, width=4):
  """Kernels of a bottleneck block with four times as many outputs; the shortcut's shape is that of the last one."""
  name = f'stage{stage}_block{block}'
  parts = [conv(f'{name}_conv1', 4 * width, width, 1), conv(f'{name}_conv2', width, width),
           conv(f'{name}_conv3', width, 4 * width, 1)]
  return parts + [Kernel(f'{name}_{shortcut_name}', (1, 1, width, 4 * width), 'conv')] * shortcut


def torch_bottleneck(stage, block, shortcut):
  parts = [torch(f'layer{stage}.{block}.conv1.weight', 4, 16, 1), torch(f'layer{stage}.{block}.conv2.weight', 4, 4),
           torch(f'layer{stage}.{block}.conv3.weight', 16, 4, 1)]
  return parts + [torch(f'layer{stage}.{block}.downsample.0.weight', 16, 4, 1)] * shortcut


@pytest.mark.parametrize('order', [NONE, WRITER])
def test_shortcuts_of_the_shape_of_other_convolutions(order):
  arrays = [*torch_bottleneck(1, 0, True), *torch_bottleneck(1, 1, False)]
  kernels = [*bottleneck(1, 1, True, 'shortcut'), *bottleneck(1, 2, False, '')]
  first_block = [kernels[0], kernels[1], kernels[3], kernels[2]]
  truth = {**{f'stage1_block{block + 1}_conv{number}': f'layer1.{block}.conv{number}.weight' for block in (0, 1)
              for number in (1, 2, 3)}, 'stage1_block1_shortcut': 'layer1.0.downsample.0.weight'}
  # Wherever the network lists its shortcut.
  for each in (kernels, first_block + kernels[4:], [kernels[3], *kernels[:3], *kernels[4:]]):
    assert match(arrays, each, order=order)[0] == truth
  # Without a word on the side of the network nothing tells it from the third convolution.
  anonymous = [*bottleneck(1, 1, True, 'extra'), *bottleneck(1, 2, False, '')]
  with pytest.raises(Mismatch, match=r'conv3\.weight .* and .*downsample\.0\.weight'):
    match(arrays, anonymous, order=order)


def test_names_that_keras_counts_are_no_names():
  kernels = [Kernel(f'conv2d_{number}', (3, 3, 8, 8), 'conv') for number in range(3, 8)]
  arrays = [Kernel(f'conv2d_{number}', (3, 3, 8, 8), 'conv') for number in range(5, 10)]
  expected = {f'conv2d_{number}': f'conv2d_{number + 2}' for number in range(3, 8)}
  for order in (NONE, WRITER, NETWORK):
    assert match(arrays, kernels, 'keras', order)[0] == expected
  # Keras lists layers in another order than they were counted in: both sides by their count.
  shuffled = [kernels[index] for index in (1, 0, 2, 4, 3)]
  assert match(arrays, shuffled, 'keras')[0] == expected
  # In Keras' older format both sides are listed alike instead.
  assert list(match(arrays, shuffled, 'keras', NETWORK)[0].values()) == [array.name for array in arrays]


def test_names_that_cover_a_shape_in_part_must_agree_with_the_order():
  kernels = [conv(f'conv{number}', 8, 8) for number in (1, 2, 3)]
  arrays = [torch(f'conv{number}.weight', 8, 8) for number in (0, 1, 2)]
  with pytest.raises(Mismatch, match=r'conv1\.weight .* has the name of conv1 .* its place in the order'):
    match(arrays, kernels, 'torch')
  pairs, found = match([torch('conv1', 8, 8), torch('other2', 8, 8), torch('other3', 8, 8)], kernels, 'torch', WRITER)
  assert list(pairs.values()) == ['conv1', 'other2', 'other3'] and how(found) == ['name', 'order', 'order']


def test_a_name_with_another_shape_is_an_error():
  arrays = [(kernel.name, kernel.shape) for kernel in BODY[:-1]] + [('last', (8, 100))]
  with pytest.raises(Mismatch, match=r"last \(8, 100\) has the name of last \(8, 10\) but .* in Keras's layout"):
    match(arrays, BODY)


def test_two_arrays_of_one_name_are_an_error():
  with pytest.raises(Mismatch, match=r'c1\.weight .* and c1/kernel:0 .* could both be c1 .* leave one out'):
    match([('c1.weight', (3, 3, 3, 8)), ('c1/kernel:0', (3, 3, 3, 8)), *BODY[1:]], BODY)


def test_kernels_that_share_a_name_are_told_by_their_order():
  kernels = [conv('a/b', 8, 8), conv('a_b', 8, 8)]
  assert match([('a.b', (3, 3, 8, 8)), ('a.c', (3, 3, 8, 8))], kernels, 'keras', NETWORK)[0] == {
      'a/b': 'a.b', 'a_b': 'a.c'}


def test_says_what_is_left_on_both_sides():
  arrays = [torch('body.0.weight', 8, 8), torch('body.1.weight', 8, 8), torch('stem.weight', 8, 3),
            ('fc.weight', (100, 8)), ('fc.bias', (100,))]
  with pytest.raises(Mismatch) as caught:
    match(arrays, BODY)
  message = str(caught.value)
  assert 'do not fit one to one in PyTorch\'s layout' in message
  kernels, left = message.split('; ')[1:]
  assert kernels == 'kernels left: c2 (3, 3, 8, 8), c3 (3, 3, 8, 8), c4 (3, 3, 8, 8), last (8, 10)'
  assert left == 'arrays left: body.0.weight (8, 8, 3, 3), body.1.weight (8, 8, 3, 3), fc.weight (100, 8)'
  many = [conv(f'k{number}', 2, 5) for number in range(12)]
  with pytest.raises(Mismatch, match=r'k7 \(3, 3, 2, 5\) and 4 more; arrays left: none'):
    match([], many)


def test_more_arrays_than_kernels_of_a_shape_are_an_error_unless_names_tell():
  arrays = [torch(f'body.{number}.weight', 8, 8) for number in range(4)] + [torch('c1.weight', 8, 3), ('last', (10, 8))]
  with pytest.raises(Mismatch, match=r'kernels left: c2 .*arrays left: body\.0'):
    match(arrays, BODY)
  named = [torch(f'{part}.{kernel.name}.weight', kernel.shape[-1], kernel.shape[-2]) for kernel in BODY[:-1]
           for part in ('model', 'average')] + [('model.last.weight', (10, 8))]
  pairs, found = match(named, BODY)
  assert set(pairs.values()) == {f'model.{kernel.name}.weight' for kernel in BODY}
  assert len(found.unused) == 4


SQUARE = [dense('one', 64, 64), dense('two', 64, 64)]


def test_ambiguous_layout_must_be_said():
  arrays = [('one.weight', (64, 64)), ('two.weight', (64, 64))]
  with pytest.raises(Mismatch, match=r"fit in Keras' layout as well as in PyTorch's; say .* keras or torch"):
    match(arrays, SQUARE)
  for layout in ('keras', 'torch'):
    assert match(arrays, SQUARE, layout)[1].layout == layout
  assert match(arrays, SQUARE, layouts=('keras',))[1].layout == 'keras'
  assert match(arrays, SQUARE, 'torch', layouts=('keras',))[1].layout == 'torch'


def test_one_array_decides_the_layout_of_all():
  kernels = [*SQUARE, dense('three', 64, 10)]
  arrays = [('one.weight', (64, 64)), ('two.weight', (64, 64))]
  assert match([*arrays, ('three.weight', (10, 64))], kernels)[1].layout == 'torch'
  assert match([*arrays, ('three.weight', (64, 10))], kernels)[1].layout == 'keras'
  with pytest.raises(Mismatch, match='three'):
    match([*arrays, ('three.weight', (10, 64))], kernels, 'keras')


def test_names_decide_the_layout_of_shapes_that_come_in_pairs():
  kernels = [dense('encoder', 20, 10), dense('decoder', 10, 20)]
  arrays = [('encoder.weight', (10, 20)), ('decoder.weight', (20, 10))]
  assert match(arrays, kernels)[1].layout == 'torch'
  with pytest.raises(Mismatch, match='layout'):
    match([('e.weight', (10, 20)), ('d.weight', (20, 10))], kernels)


def test_depthwise_convolutions_of_torch():
  kernels = [conv('stem', 3, 8), Kernel('depth', (3, 3, 8, 1), 'conv'), conv('point', 8, 16, 1)]
  arrays = [torch('f.0.weight', 8, 3), torch('f.1.weight', 8, 1), torch('f.2.weight', 16, 8, 1)]
  assert list(match(arrays, kernels)[0].values()) == ['f.0.weight', 'f.1.weight', 'f.2.weight']


@pytest.mark.parametrize('seed', range(60))
def test_finds_the_truth_or_says_that_it_cannot(seed):
  """Networks with few shapes, some names kept and some not, files in the order of the network or of none."""
  rng = np.random.default_rng(seed)
  widths = rng.choice([4, 6], rng.integers(3, 9))
  kernels = [conv(f'k{index}', *pair) for index, pair in enumerate(itertools.pairwise(widths))]
  template = ['layer{}.weight', '{}.conv.weight', 'net.{}.weight', 'k{}.weight'][seed % 4]
  numbers = np.sort(rng.choice(20, len(kernels), replace=False)) if seed % 8 < 4 else range(len(kernels))
  arrays = [(template.format(number), (kernel.shape[3], kernel.shape[2], 3, 3))
            for number, kernel in zip(numbers, kernels, strict=True)]
  truth = {kernel.name: array[0] for kernel, array in zip(kernels, arrays, strict=True)}
  order = [NONE, WRITER][seed // 8 % 2]
  try:
    assert match(arrays, kernels, 'torch', order)[0] == truth
  except Mismatch:
    assert template == 'k{}.weight' and list(numbers) != list(range(len(kernels)))
  if template != 'k{}.weight':
    # An array too few, and one of another network.
    with pytest.raises(Mismatch):
      match(arrays[1:], kernels, 'torch', order)
    with pytest.raises(Mismatch):
      match([*arrays[1:], ('other', (5, 5, 3, 3))], kernels, 'torch', order)
