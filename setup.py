"""Packaging: pyproject.toml has all but the packages, because configs/ is one of them and lies outside the others."""

import setuptools

setuptools.setup(
    packages=[*setuptools.find_packages(include=['tickets_tf', 'tickets_tf.*']),
              'tickets_tf.configs', 'tickets_tf.configs.sanity_checks', 'tickets_tf.configs.sweeps'],
    package_dir={'tickets_tf.configs': 'configs'},
)
