"""A browser to look at pages with, and the contrast of what it shows."""

import re
import shutil

import numpy as np

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)


def channels(colour):
  """Returns red, green and blue of a colour in CSS's notation."""
  return [int(value) for value in re.findall(r'\d+', colour)[:3]]


def contrast(one, other):
  """Returns WCAG's contrast of two colours in CSS's notation."""
  def luminance(colour):
    shares = np.array(channels(colour)) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055)**2.4)
    return linear @ [0.2126, 0.7152, 0.0722]

  low, high = sorted(map(luminance, (one, other)))
  return (high + 0.05) / (low + 0.05)
