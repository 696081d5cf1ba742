"""Child processes and the channel to them: starting one, calling it, cancelling a call and detecting its death.

A frame is a 4-byte big-endian length and a JSON object, on a socket pair that the child inherits. Descriptors use a second pair.
Both standard output streams of a child go to the daemon's log.

    parent                                  child
    Worker.start(argv) ──────────────────▶  Channel().ready(…)
    worker.call("view", {...}) ── frame ─▶  for request in channel: request.reply(...)
    call.cancel() ──────────── cancel ───▶  request.cancelled is set
"""
