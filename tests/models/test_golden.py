import numpy as np
import pytest

from tests import golden_networks


@pytest.mark.parametrize('mode', ['eval', 'train'])
@pytest.mark.parametrize('name', sorted(golden_networks.NETWORKS))
def test_logits_of_the_reference(name, mode):
  model, arrays = golden_networks.load(name)
  logits, expected = model(arrays['x'], training=mode == 'train').numpy(), arrays[f'logits_{mode}']
  assert np.linalg.norm(logits - expected) <= 1e-4 * np.linalg.norm(expected)
  np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
