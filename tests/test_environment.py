from tickets_tf import environment


def test_packages_that_were_put_on_the_path_by_hand_have_no_version(monkeypatch):
  def version(name):
    raise environment.metadata.PackageNotFoundError(name)

  assert environment.describe()['packages']['numpy']
  monkeypatch.setattr(environment.metadata, 'version', version)
  assert set(environment.describe()['packages'].values()) == {None}
