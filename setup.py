"""What pyproject.toml cannot tell for good yet: the compiled scanner of records."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension("analystd.data.text._records", ["daemon/analystd/data/text/_records.c"], py_limited_api=True),
    ]
)
