from setuptools import find_packages, setup

with open("README.md", encoding="utf-8") as readme:
    long_description = readme.read()

setup(
    name="wavegan",
    version="0.1.0",
    description="A few minutes of recordings in, hours of ASMR out: WaveGAN in Keras.",
    long_description=long_description,
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    py_modules=["wavegan", "loader"],
    packages=find_packages(include=["wavegan_asmr", "wavegan_asmr.*"]),
    package_data={"wavegan_asmr.evaluation": ["*.jinja"]},
    entry_points={"console_scripts": ["wavegan = wavegan_asmr.command_line.main:main"]},
    install_requires=[
        "tensorflow>=2.21,<2.22",
        "keras>=3.15,<3.16",
        # TensorFlow does not depend on it, and writes no summaries without it.
        "tensorboard>=2.20,<2.22",
        "numpy>=2.0,<3",
        "librosa>=0.11,<0.12",
        "scikit-learn>=1.5,<2",
        "threadpoolctl>=3.1,<4",
        "scipy>=1.13,<2",
        "soundfile>=0.13,<0.15",
        "soxr>=0.5,<2",
        "absl-py>=2.1,<3",
        "matplotlib>=3.9,<4",
        "pyloudnorm>=0.1.1,<0.3",
        # m4a and other formats of telephones.
        "av>=14,<19",
        "filelock>=3.21,<5",
        "jinja2>=3.1,<4",
        "msgspec>=0.19,<1",
        "platformdirs>=4,<5",
        "rich>=13,<16",
    ],
    extras_require={
        "bench": ["torch>=2.6"],
        "notebook": ["ipykernel>=6,<8", "jupyterlab>=4,<5"],
        "test": [
            "build>=1.2,<2",
            "hypothesis>=6.100,<7",
            "import-linter>=2.1,<3",
            "ipykernel>=6,<8",
            "nbclient>=0.10,<0.12",
            "nbformat>=5.10,<6",
            "pytest>=8,<10",
            "pytest-xdist>=3.6,<4",
            "ruff>=0.14,<0.18",
            "selenium>=4.20,<5",
            "setuptools>=71,<90",
        ],
    },
)
