"""What pyproject.toml cannot tell for good yet: the compiled scanner of records, once for every Python from 3.11 on (abi3).

Where it cannot be compiled the installation goes on without: `analystd.data.text.python_scanner` does its work, slower.
"""

import os

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "analystd.data.text._records",
            ["daemon/analystd/data/text/_records.c"],
            # Debugging information would hold the path of the folder that this is built in.
            extra_compile_args=["-g0"] if os.name == "posix" else [],
            py_limited_api=True,
            optional=True,
        ),
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
