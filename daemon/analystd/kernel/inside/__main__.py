"""Start the kernel as the package `analystd_inside`, whichever interpreter runs this file, without leaving its folder on `sys.path`."""

import sys

if __name__ == "__main__":
    folder = __file__.rpartition("/")[0]
    sys.path[:] = [path for path in sys.path if path != folder]
    import importlib
    import importlib.util

    spec = importlib.util.spec_from_file_location(
        "analystd_inside", folder + "/__init__.py", submodule_search_locations=[folder]
    )
    assert spec is not None
    sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    importlib.import_module("analystd_inside.app").main()
