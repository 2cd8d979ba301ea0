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


def test_describing_imports_no_tensorflow():
  code = ('import sys; from tickets_tf import environment; environment.describe([]); '
          'print([name for name in sys.modules if name.partition(".")[0] in ("tensorflow", "tf_keras")])')
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert done.stdout.strip() == '[]'
