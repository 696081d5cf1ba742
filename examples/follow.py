"""Follow what everybody does on a desk; started again, first catch up with what happened meanwhile.

python examples/follow.py [SECONDS WITHOUT NEWS AFTER WHICH IT ENDS]
"""

import sys
import time
from pathlib import Path

import analystd
from analystd.client import EventsGoneError, RequestTimeoutError

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
BOOKMARK = Path("follow.bookmark")

with analystd.connect_sync(name="follow") as desk:
    # The bookmark is the number of the last event that was seen. Without one, everything from the first event on is told.
    after = int(BOOKMARK.read_text()) if BOOKMARK.exists() else 0
    with desk.follow(after=after, timeout=SECONDS) as events:
        while True:
            try:
                for event in events:
                    at = time.strftime("%H:%M:%S", time.localtime(event.at))
                    if event.kind == "run_queued":
                        print(f"{at}  {event.client}: {event.title}")
                    elif event.ends_run:
                        print(f"{at}  {event.run_id} {event.status}")
            except EventsGoneError as gone:
                print(f"too long away; the latest runs: {[run.title for run in gone.snapshot.runs]}")
            except RequestTimeoutError:
                break
        BOOKMARK.write_text(str(events.seq))
