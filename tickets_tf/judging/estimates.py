"""Drops of many comparisons and their standard errors, which share what they know of variances and correlation.

A drop is the mean accuracy of the original tickets minus that of the checked ones, in percent points. Every set of
trainings, one a seed, is an arm. Arms of one rule at one ratio vary about alike, so each variance is moderated by what
the arms of its group have in common (Smyth 2004), and one correlation between an original and a checked ticket of the
same seed is pooled over the call.
"""

import dataclasses

import numpy as np
import numpy.typing as npt
import scipy

MINIMUM = 3  # Fewer seeds have no interval.
_LEAST_VARIANCE = 1e-12  # In squared points. It stands in for 0 if the accuracies are exact.

_Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Estimates:
  """Estimates of many calls at once; see `estimate`.

  Attributes:
    drop: [..., groups, checks].
    error: standard errors, likewise; NaN for fewer than 3 seeds.
    degrees_of_freedom: f of each error, likewise; 0 where it is NaN.
    prior_degrees_of_freedom: d0 of each call, [...].
    correlation: rho of each call, [...].
  """
  drop: _Floats
  error: _Floats
  degrees_of_freedom: npt.NDArray[np.int64]
  prior_degrees_of_freedom: _Floats
  correlation: _Floats


def estimate(values: npt.ArrayLike, resolution: float) -> Estimates:
  """Returns drops and their standard errors.

  With v_o, v_c the moderated variances of an original and a checked arm of n_o and n_c seeds, of which n_p are the
  same, the squared error is v_o / n_o + v_c / n_c - 2 rho sqrt(v_o v_c) n_p / (n_o n_c). If all numbers are n, that is
  (v_o + v_c - 2 rho sqrt(v_o v_c)) / n. It is at least 2 resolution^2 / 12 / n: a correlation near 1 must not make
  rounded accuracies certain.

  Args:
    values: accuracies in percent, [..., groups, 1 + checks, seeds], of each group first the original; NaN for a run
      that is not there. Every check that a group lacks is NaN.
    resolution: smallest step between two accuracies in percent points; 0 takes them as exact.
  """
  values = np.asarray(values, np.float64)
  there = np.isfinite(values)
  counts = there.sum(-1)
  filled = np.where(there, values, 0)
  means = np.divide(filled.sum(-1), counts, out=np.full(counts.shape, np.nan), where=counts > 0)
  rest = np.where(there, values - means[..., np.newaxis], 0)
  enough = counts >= MINIMUM
  least = max(resolution**2 / 12, _LEAST_VARIANCE)
  sample = np.maximum((rest**2).sum(-1) / np.maximum(counts - 1, 1), least)
  prior, variances = moderate(sample, np.where(enough, counts, 0))
  # One seed with another, original with checked.
  both = there[..., :1, :] & there[..., 1:, :]
  pairs = both.sum(-1)
  compared = enough[..., :1] & enough[..., 1:]
  scale = np.sqrt(variances[..., :1] * variances[..., 1:])
  correlation = _correlation(values, both, np.where(compared, scale, np.nan))
  originals, checked = np.maximum(counts[..., :1], 1), np.maximum(counts[..., 1:], 1)
  shared = 2 * correlation[..., np.newaxis, np.newaxis] * scale * pairs / (originals * checked)
  squared = variances[..., :1] / originals + variances[..., 1:] / checked - shared
  squared = np.maximum(squared, 2 * least / np.maximum(originals, checked))
  error = np.where(compared, np.sqrt(squared), np.nan)
  freedom = _degrees_of_freedom(prior, np.minimum(originals, checked), compared)
  return Estimates(means[..., :1] - means[..., 1:], error, freedom, prior, correlation)


def moderate(variances: _Floats, counts: npt.NDArray[np.int64]) -> tuple[_Floats, _Floats]:
  """Returns (d0, moderated variances): each sample variance, drawn towards what its group has in common.

  Smyth (2004), section 6.2, with a prior variance for each group and one d0 for the call. With d = n - 1 of an arm and
  e = log s^2 - digamma(d / 2) + log(d / 2), the variance of e within groups is trigamma(d / 2) + trigamma(d0 / 2), and
  the mean of e in a group is log s0^2 - digamma(d0 / 2) + log(d0 / 2). The moderated variance is
  (d0 s0^2 + d s^2) / (d0 + d). d0 is at most twice the mean of d, since it is estimated from few arms.

  Args:
    variances: sample variances of the arms, all above 0, [..., groups, arms].
    counts: their numbers of seeds; an arm with fewer than 3 counts as not there.

  Returns:
    (d0 of each call, [...], NaN if it has no arms; variances, [..., groups, arms], NaN where there is no arm).
  """
  there = counts >= MINIMUM
  freedom = np.where(there, counts - 1, 2)
  half = freedom / 2
  log = np.where(there, np.log(variances) - scipy.special.digamma(half) + np.log(half), 0)
  arms = there.sum(-1, keepdims=True)
  means = log.sum(-1, keepdims=True) / np.maximum(arms, 1)
  within = np.where(there, log - means, 0)
  spare = np.maximum(arms - 1, 0).sum((-2, -1))
  number = np.maximum(there.sum((-2, -1)), 1)
  spread = (within**2).sum((-2, -1)) / np.maximum(spare, 1)
  spread -= np.where(there, scipy.special.polygamma(1, half), 0).sum((-2, -1)) / number
  most = 2 * np.where(there, freedom, 0).sum((-2, -1)) / number
  prior = np.where(spare > 0, np.minimum(2 * _inverse_trigamma(spread), most), most)
  prior = np.where(there.any((-2, -1)), prior, np.nan)
  d0 = prior[..., np.newaxis, np.newaxis]
  common = np.exp(means + scipy.special.digamma(d0 / 2) - np.log(d0 / 2))
  return prior, np.where(there, (d0 * common + freedom * variances) / (d0 + freedom), np.nan)


def _degrees_of_freedom(prior: _Floats, counts: npt.NDArray[np.int64], compared: npt.NDArray[np.bool_]
                        ) -> npt.NDArray[np.int64]:
  """Returns f of each comparison: that of the variances of its group, less what the estimated correlation costs."""
  own = np.maximum(counts - 1, 1)
  arms = 1 + compared.sum(-1, keepdims=True)
  of_arms = np.minimum(prior[..., np.newaxis, np.newaxis] + own, own * arms)
  in_all = np.maximum(compared.sum((-2, -1), keepdims=True), 1)
  f = np.where(compared, 1 / (1 / of_arms + 1 / (2 * own * in_all)), 0)
  return np.where(compared, np.maximum(np.floor(f + 1e-9), 1), 0).astype(np.int64)


def _correlation(values: _Floats, both: npt.NDArray[np.bool_], scale: _Floats) -> _Floats:
  """Returns the mean over the comparisons of a call of cov(original, checked) / sqrt(v_o v_c); scale NaN: left out."""
  pairs = both.sum(-1)
  arms = [np.where(both, arm, 0) for arm in (values[..., :1, :], values[..., 1:, :])]
  rests = [np.where(both, arm - (arm.sum(-1) / np.maximum(pairs, 1))[..., np.newaxis], 0) for arm in arms]
  covariance = (rests[0] * rests[1]).sum(-1) / np.maximum(pairs - 1, 1)
  known = np.isfinite(scale) & (pairs >= MINIMUM)
  each = np.where(known, covariance / np.where(known, scale, 1), 0)
  number = known.sum((-2, -1))
  return np.asarray(np.clip(each.sum((-2, -1)) / np.maximum(number, 1), -1, 1))


def _inverse_trigamma(values: npt.ArrayLike) -> _Floats:
  """Returns x with trigamma(x) = value by Newton's method (Smyth 2004, appendix); infinite for values up to 0."""
  y = np.asarray(values, np.float64)
  safe = np.clip(y, 1e-6, 1e6)
  x = 0.5 + 1 / safe
  for _ in range(20):
    tri = scipy.special.polygamma(1, x)
    x = x + tri * (1 - tri / safe) / scipy.special.polygamma(2, x)
  return np.asarray(np.where(y > 1e-6, x, np.inf))
