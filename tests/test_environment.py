import json
import subprocess
import sys

from tickets_tf import environment


def test_packages_that_were_put_on_the_path_by_hand_have_no_version(monkeypatch):
  def version(name):
    raise environment.metadata.PackageNotFoundError(name)

  assert environment.describe([])['packages']['numpy']
  monkeypatch.setattr(environment.metadata, 'version', version)
  assert set(environment.describe([])['packages'].values()) == {None}


def test_the_devices_are_those_of_the_caller():
  described = environment.describe(('/device:CPU:0', '/device:GPU:0'))
  assert described['devices'] == ['/device:CPU:0', '/device:GPU:0']
  assert json.loads(json.dumps(described)) == described


def test_the_processor_is_named_wherever_the_system_says_it(tmp_path, monkeypatch):
  assert environment.describe([], ['pip'])['packages'].keys() >= {'numpy', 'pip'}
  path = tmp_path / 'cpuinfo'
  monkeypatch.setattr(environment.pathlib, 'Path', lambda _: path)
  monkeypatch.setattr(environment.platform, 'processor', lambda: '')
  monkeypatch.setattr(environment.platform, 'machine', lambda: 'riscv64')
  assert environment.processor() == 'riscv64'
  for text, name in (('processor : 0\nmodel name\t: Fast One @ 3 GHz\n', 'Fast One @ 3 GHz'),
                     ('processor : 0\nHardware : Board 5\n', 'Board 5'), ('model name :\n', 'riscv64')):
    path.write_text(text)
    assert environment.processor() == name


def test_the_load_is_that_of_one_core(monkeypatch):
  monkeypatch.setattr(environment.os, 'cpu_count', lambda: 4)
  monkeypatch.setattr(environment.os, 'getloadavg', lambda: (3.0, 9.0, 9.0))
  assert environment.load_per_core() == 0.75

  def unknown():
    raise OSError

  monkeypatch.setattr(environment.os, 'getloadavg', unknown)
  assert environment.load_per_core() is None


def test_describing_imports_no_tensorflow():
  code = ('import sys; from tickets_tf import environment; environment.describe([]); '
          'print([name for name in sys.modules if name.partition(".")[0] in ("tensorflow", "tf_keras")])')
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert done.stdout.strip() == '[]'
