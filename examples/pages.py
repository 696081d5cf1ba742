"""Page through a big CSV without loading it: any rows at once, exactly as the file has them, then filtered and sorted.

python examples/pages.py [ROWS]
"""

import random
import sys
from pathlib import Path

import analystd

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
PAGE = 5
NAME = "orders.csv"


def write_orders(path: Path) -> None:
    numbers = random.Random(7)
    with path.open("w") as file:
        file.write("order,symbol,price\n")
        for order in range(ROWS):
            file.write(f"{order:010},{numbers.choice(['BTC', 'ETH', 'SOL'])},{numbers.uniform(10, 99):.2f}\n")


with analystd.connect_sync() as desk:
    file = Path(desk.about.workspace, NAME)
    if not file.exists():
        write_orders(file)
    rows = desk.view_data(NAME, "shape", on_progress=lambda done: print(f"{done:.0%}")).num_rows or 0
    print(f"{rows:,} rows, {file.stat().st_size / 1e6:.0f} MB")
    for offset in (0, rows // 2, max(rows - PAGE, 0)):
        print(desk.view_data(NAME, "rows", offset=offset, n_rows=PAGE).to_pandas())
    dear = desk.view_data(
        NAME,
        "rows",
        n_rows=PAGE,
        filter=[{"column": "symbol", "op": "=", "value": "ETH"}],
        sort=[{"column": "price", "descending": True}],
    )
    print(f"{dear.num_rows:,} rows of ETH, the dearest first:\n{dear}")
