import json
import re

import numpy as np
import pytest
from PIL import Image, ImageOps

from tickets_tf import data
from tickets_tf.export import card
from tickets_tf.export import predict
from tickets_tf.export.export_report import ExportedFile, ExportedSavedModel, ExportReport, SparseLayers
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError


class Brightness:
  """Classes 'dark' and 'bright', the more probable the more so."""
  class_names = ('dark', 'bright')
  image_shape = (4, 4, 3)
  white = 65535
  calls = 0

  def predict(self, images):
    self.calls += 1
    assert images.dtype == np.uint8 and images.shape[1:] == self.image_shape
    bright = images.mean(axis=(1, 2, 3)) / 255
    return np.stack([1 - bright, bright], axis=1).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
  """Gray images, named by their value, in a folder and one below it."""
  (tmp_path / 'below').mkdir()
  for name in ('000.png', '204.PNG', 'below/051.jpg'):
    Image.new('L', (9, 5), int(name.split('/')[-1][:3])).save(tmp_path / name)
  (tmp_path / 'notes.txt').write_text('not an image')
  return tmp_path


def names(paths, folder):
  return [path.removeprefix(f'{folder}/') for path in paths]


def test_files_folders_and_globs(folder):
  assert names(predict.find_images([str(folder)]), folder) == ['000.png', '204.PNG', 'below/051.jpg']
  assert names(predict.find_images([f'{folder}/*.png', f'{folder}/204.PNG']), folder) == ['000.png', '204.PNG']
  assert names(predict.find_images([f'{folder}/**/0*']), folder) == ['000.png', 'below/051.jpg']
  assert names(predict.find_images([f'{folder}/notes.txt']), folder) == ['notes.txt'], 'a file is taken at its word'


def test_a_name_with_brackets_is_a_file_first(folder):
  (folder / '204.PNG').rename(folder / 'a[1].png')
  assert names(predict.find_images([f'{folder}/a[1].png']), folder) == ['a[1].png']


def test_files_are_what_their_bytes_say_and_hidden_ones_are_skipped(folder):
  Image.new('L', (5, 5), 9).save(folder / 'photo', 'WEBP')
  Image.new('L', (5, 5), 9).save(folder / 'turned.jpg', 'WEBP')
  (folder / '._000.png').write_bytes(b'x')
  (folder / '.hidden').mkdir()
  Image.new('L', (5, 5), 9).save(folder / '.hidden' / 'a.png')
  skipped = []
  found = names(predict.find_images([str(folder)], skipped.append), folder)
  assert found == ['000.png', '204.PNG', 'below/051.jpg', 'photo', 'turned.jpg']
  assert names(skipped, folder) == ['._000.png', '.hidden/a.png', 'notes.txt']
  assert names(predict.find_images([f'{folder}/.hidden']), folder) == ['.hidden/a.png'], 'asked for by name'
  broken = []
  paths = [str(folder / name) for name in found]
  assert [each['image'] for each in predict.classify_files(Brightness(), paths, broken=broken.append)] == paths
  assert not broken


def test_kinds_that_are_not_read_are_named_and_the_others_classified(folder):
  (folder / 'photo.jpg').write_bytes(b'\0\0\0\x1cftypheic' + bytes(50))
  broken = []
  paths = predict.find_images([str(folder)])
  found = list(predict.classify_files(Brightness(), paths, broken=broken.append))
  assert names([each['image'] for each in found], folder) == ['000.png', '204.PNG', 'below/051.jpg']
  assert names(map(str, broken), folder) == ['photo.jpg: HEIC images are not read; convert it to PNG or JPEG']


def test_sixteen_bits_are_scaled_as_in_training(folder):
  class Deep(Brightness):
    white = 4000

  Image.fromarray(np.full((4, 4), 3000, np.uint16)).save(folder / 'deep.png')
  found, = predict.classify_files(Deep(), [str(folder / 'deep.png')])
  assert found['classes'][0] == {'class': 'bright', 'probability': pytest.approx(0.75, abs=0.002)}


@pytest.mark.parametrize('pattern', ['nowhere.png', 'no*', 'empty'])
def test_what_finds_nothing_is_named(pattern, folder):
  (folder / 'empty').mkdir()
  with pytest.raises(UsageError, match='no image there'):
    predict.find_images([str(folder), f'{folder}/{pattern}'])


def test_the_most_probable_first(folder):
  found = list(predict.classify_files(Brightness(), predict.find_images([str(folder)]), top=2))
  assert [each['image'].removeprefix(f'{folder}/') for each in found] == ['000.png', '204.PNG', 'below/051.jpg']
  assert [[one['class'] for one in each['classes']] for each in found] == [['dark', 'bright'], ['bright', 'dark'],
                                                                           ['dark', 'bright']]
  assert [each['classes'][0]['probability'] for each in found] == pytest.approx([1, 0.8, 0.8], abs=0.01)
  assert [len(each['classes']) for each in predict.classify_files(Brightness(), [found[0]['image']], top=1)] == [1]
  json.dumps(found)


def test_broken_images_are_named_and_left_out(folder):
  (folder / '100.png').write_bytes((folder / '000.png').read_bytes()[:40])
  broken = []
  paths = [str(folder / name) for name in ('100.png', '000.png', 'notes.txt', 'gone.png', '204.PNG')]
  found = list(predict.classify_files(Brightness(), paths, broken=broken.append))
  assert names([each['image'] for each in found], folder) == ['000.png', '204.PNG']
  assert [str(error).split(':')[0] for error in broken] == [paths[0], paths[2], paths[3]]
  assert all(isinstance(error, TicketsError) for error in broken)
  assert not list(predict.classify_files(Brightness(), paths[:1], broken=broken.append)), 'none is left'


def test_many_images_are_taken_in_batches(folder):
  ticket = Brightness()
  assert len(list(predict.classify_files(ticket, [str(folder / '000.png')] * 230))) == 230
  assert ticket.calls == 3


def test_an_image_is_read_as_the_data_sets_read_it(folder):
  path = str(folder / 'photo.jpg')
  Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 24, 3)).astype(np.uint8)).save(path)
  from tickets_tf.data import images
  for shape in ((32, 24, 3), (8, 8, 3), (8, 8, 1)):
    np.testing.assert_array_equal(data.load_image(path, shape), images.decode([path], shape)[0])


def turned(image, path):
  exif = Image.Exif()
  exif[0x0112] = 6
  image.save(path, exif=exif, quality=95)


SETTINGS = {'model': 'resnet8', 'dataset': 'folder', 'pruner': 'snip', 'ratio': 0.9, 'seed': 0, 'epochs': 1}
# Files that differ in what reads them: name -> how an image of 8 bits in colour is saved so.
KINDS = {
    'plain.png': lambda image, path: image.save(path),
    'gray.png': lambda image, path: image.convert('L').save(path),
    'transparent.png': lambda image, path: image.convert('RGBA').save(path),
    'palette.png': lambda image, path: image.quantize(64).save(path),
    'deep.png': lambda image, path: Image.fromarray(np.asarray(image.convert('L'), np.uint16) * 16).save(path),
    'deep.tif': lambda image, path: Image.fromarray(np.asarray(image.convert('L'), np.uint16) * 16).save(path),
    'photo.jpg': lambda image, path: image.save(path, quality=95),
    'turned.jpg': turned,
    'print.jpg': lambda image, path: image.convert('CMYK').save(path, quality=95),
    'misnamed.jpg': lambda image, path: image.save(path, 'WEBP', lossless=True),
    'photo.webp': lambda image, path: image.save(path, lossless=True),
    'photo.gif': lambda image, path: image.save(path),
    'photo.bmp': lambda image, path: image.save(path),
}


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('kind', KINDS)
def test_the_model_card_reads_files_as_predict_does(kind, channels, tmp_path):
  """Pixels differ by what bilinear resizing and gray from colour round differently."""
  description = {'image_shape': [16, 12, channels], 'class_names': ['a', 'b'], 'settings': SETTINGS,
                 'preprocessing': {'formula': '', 'mean': [0], 'std': [1], 'white': 4080}}
  file = ExportedFile('x.tflite', 1, 1, 0.5, 0.0, (), (), SparseLayers(0, 0))
  report = ExportReport(ExportedSavedModel(1, 0.5), (file,), file.file, 0.5, 1, None, {'platform': ''})
  code = re.search(r'\ndef read.*?(?=\n```)', card.model_card(description, report), re.DOTALL)[0]
  rng = np.random.default_rng(0)
  pixels = np.kron(rng.integers(40, 256, (4, 6, 3)), np.ones((8, 4, 1))).astype(np.uint8)  # 32 x 24
  KINDS[kind](Image.fromarray(pixels), tmp_path / kind)
  scope = {'np': np, 'Image': Image, 'ImageOps': ImageOps}
  exec(code, scope)
  expected = data.load_image(tmp_path / kind, (16, 12, channels), 4080)
  found = scope['read'](str(tmp_path / kind)).reshape(expected.shape)
  assert found.dtype == np.uint8
  assert np.abs(found.astype(int) - expected).max() <= 3
  assert np.abs(found.astype(int) - expected).mean() < 1
