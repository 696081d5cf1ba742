"""Child processes behind a channel: how the daemon starts one, calls it, cancels a call and learns of its death.

Frames are a 4-byte big-endian length and a JSON object, over a socket pair that the child inherits. Descriptors travel on a second pair.
A child never writes to stdout: both its standard streams end in the daemon's log.

    parent                                  child
    Worker.start(argv) ──────────────────▶  Channel().ready(…)
    worker.call("view", {...}) ── frame ─▶  for request in channel: request.reply(...)
    call.cancel() ──────────── cancel ───▶  request.cancelled is set
"""
