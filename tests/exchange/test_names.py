import pytest

from tickets_tf.exchange import names


@pytest.mark.parametrize('text', [
    'conv1', 'conv1.weight', 'conv1/kernel:0', 'conv1/kernel', 'conv1_mask', 'conv1.mask', 'conv1.weight_mask',
    'conv1.weight_orig', 'conv1_weight', 'conv1.weights', 'module.conv1.weight', '_orig_mod.module.conv1.weight',
    'state_dict.model.conv1.weight', 'conv1/conv1/kernel:0', 'conv1/net/conv1/kernel:0',
    'prune_low_magnitude_conv1/conv1/kernel:0', 'prune_low_magnitude_conv1/mask:0', 'ticket_wrapper_conv1/mask:0'])
def test_knows_a_layer_under_the_usual_names(text):
  assert 'conv1' in names.parse(text).keys
  assert names.parse(text).place == (('conv#', (1,)),)


@pytest.mark.parametrize('text', [
    'conv1.bias', 'conv11.weight', 'xconv1.weight', 'conv1.norm.weight', 'features.conv1.weight', 'unmask',
    'layers/conv1/vars/0'])
def test_keeps_other_layers_apart(text):
  assert 'conv1' not in names.parse(text).keys


@pytest.mark.parametrize('text', ['stage1_block2_conv1', 'stage1.block2.conv1.weight', 'stage1/block2/conv1/kernel:0'])
def test_separators_make_no_difference(text):
  assert 'stage1.block2.conv1' in names.parse(text).keys


@pytest.mark.parametrize('text', ['block.0.block.weight', 'block/list_0/block/vars/0'])
def test_only_names_of_keras_repeat_the_layer(text):
  assert len(names.parse(text).place) > 1


def test_whole_names_count_too():
  assert 'model.to.mask' in names.parse('model.to_mask').keys


def test_tells_masks_shortcuts_and_counted_names():
  assert [names.parse(text).mask for text in ('a.weight_mask', 'a_mask', 'a/mask:0', 'a.weight', 'a', 'unmask')] == [
      True, True, True, False, False, False]
  assert [names.parse(text).shortcut for text in (
      'layer2.0.downsample.0.weight', 'stage2_block1_shortcut', 'b.convshortcut.weight', 'conv2_block1_0_conv',
      'layer2.0.conv1.weight', 'conv2_block1_1_conv', 'stage_0_conv')] == [True] * 4 + [False] * 3
  assert [names.parse(text).automatic for text in (
      'conv2d', 'conv2d_12/kernel:0', 'inner/dense_3', 'depthwise_conv2d_1', 'conv2', 'dense_layer', 'conv2d_a',
      'layers/conv2d_1/vars/0')] == [True, True, True, True, False, False, False, False]


@pytest.mark.parametrize('first, second', [
    ('layer1.0.conv1.weight', 'layer1.0.conv2.weight'), ('layer1.0.conv2.weight', 'layer1.1.conv1.weight'),
    ('layer1.9.conv1.weight', 'layer1.10.conv1.weight'), ('features.3.weight', 'features.12.weight'),
    ('0.weight', '10.weight'), ('arr_2', 'arr_10'), ('conv2d/kernel:0', 'conv2d_1/kernel:0'),
    ('layers/conv2d/vars/0', 'layers/conv2d_1/vars/0'), ('layers/conv2d_9/vars/0', 'layers/conv2d_10/vars/0'),
    ('layers/functional/layers/conv2d_3/vars/0', 'layers/functional_1/layers/conv2d/vars/0'),
    ('stage1_block2_conv2', 'stage2_block1_conv1'), ('layer1.0.downsample.0.weight', 'layer1.1.conv3.weight')])
def test_numbers_tell_the_order(first, second):
  first, second = names.parse(first), names.parse(second)
  assert names.before(first, second) is True and names.before(second, first) is False


@pytest.mark.parametrize('one, other', [
    ('stem.weight', 'layer1.weight'), ('layer1.0.conv3.weight', 'layer1.0.downsample.0.weight'),
    ('conv1.weight', 'layer1.0.conv1.weight'), ('block.branch1x1.weight', 'block.branch3x3dbl.weight'),
    ('a.weight', 'a.weight'), ('b.conv', 'b.conv.conv1')])
def test_words_do_not_tell_the_order(one, other):
  one, other = names.parse(one), names.parse(other)
  assert names.before(one, other) is None and names.before(other, one) is None
