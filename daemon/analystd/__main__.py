"""Run the command `analystd` as `python -m analystd`."""

import sys

from analystd.cli import main

if __name__ == "__main__":
    sys.exit(main())
