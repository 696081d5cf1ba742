"""Run Python in a session of its own, which remembers, and save the plots that it shows as PNG files.

python examples/plots.py [FOLDER]
"""

import sys
from pathlib import Path

import analystd

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "plots")

WALK = """
import numpy as np
walks = np.random.default_rng(7).normal(size=(3, 1000)).cumsum(axis=1)
"""
PLOT = """
import matplotlib.pyplot as plt
for number, walk in enumerate(walks):
    plt.figure(figsize=(4, 2))
    plt.plot(walk)
    plt.title(f"Walk {number}")
plt.show()
print(f"{len(walks)} walks end at", walks[:, -1].round(1))
"""

with analystd.connect_sync() as desk:
    # `main` is left alone; what is made here is there in the next script, and in every editor window.
    desk.exec_python(WALK, session="walks", reset=True)
    result = desk.exec_python(PLOT, session="walks", timeout_seconds=60)
    print(result.stdout or result.error, end="")
    FOLDER.mkdir(exist_ok=True)
    for number, display in enumerate(result.displays):
        if display.png is not None:
            print(display.save(FOLDER / f"walk-{number}.png"))
