"""Packaging of tickets_tf: metadata and version ranges, no logic."""

import setuptools

setuptools.setup(
    name='tickets_tf',
    version='0.1.0',
    description='Find, train, export and sanity-check sparse subnetworks (tickets) with Keras and TensorFlow',
    license='Apache-2.0',
    python_requires='>=3.10,<3.13',
    packages=setuptools.find_packages(include=['tickets_tf', 'tickets_tf.*']),
    package_data={'tickets_tf.export': ['templates/*'], 'tickets_tf.report': ['templates/*']},
    install_requires=[
        'absl-py>=1.2',
        'ai-edge-litert>=2.2',
        'flatbuffers>=24',
        'h5py>=3.11',
        'importlib_resources>=6',  # tensorflow-datasets imports it for cifar10 and does not ask for it
        'jinja2>=3.1',
        'matplotlib>=3.9',
        'ml_dtypes>=0.5.1',
        'numpy>=1.26',
        'pandas>=2',
        'psutil>=5',
        'requests>=2.31',
        'safetensors>=0.4.3',
        'scikit-learn>=1.3',
        'scipy>=1.10',
        'tensorboard>=2.19',  # no longer comes with tensorflow
        'tensorflow>=2.21,<2.22',
        'tensorflow-datasets>=4.9.7',
        'tensorflow-model-optimization>=0.8.0',
        'tf-keras>=2.21,<2.22',  # the same minor version as tensorflow
        'tqdm>=4.66',
    ],
    extras_require={'test': ['pillow>=10', 'pytest>=8', 'ruff>=0.9'], 'torch-benchmark': ['torch>=2.5']},
)
