"""What a kernel that was taken over sends, as code for a cell: `ACTS` by name; each leaves a session that may go on."""

from __future__ import annotations

PRELUDE = """
import hashlib, hmac, json, time
from ipykernel.kernelapp import IPKernelApp
app = IPKernelApp.instance()
parent = json.dumps(get_ipython().parent_header["header"], default=str).encode()
key = app.session.key

def signed(header, parent, metadata, content):
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for part in (header, parent, metadata, content):
        digest.update(part)
    return [b"<IDS|MSG>", digest.hexdigest().encode(), header, parent, metadata, content]

def say(kind, content, parent=parent, metadata=b"{}"):
    header = json.dumps({"msg_id": "x", "msg_type": kind, "session": "s", "username": "u", "version": "5.3"}).encode()
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    send(signed(header, parent, metadata, content))

def send(parts):
    app.iopub_socket.send_multipart([b"kernel", *parts])
"""

ACTS: dict[str, str] = {
    "parts that are no message": "for parts in ([], [b''], [b'x'] * 5, [b'<IDS|MSG>'], [b'<IDS|MSG>'] * 6, [b'\\xff'] * 7): send(parts)",
    "wrong signatures": (
        "for signature in (b'', b'x', b'0' * 64, b'\\xff' * 64):\n"
        "    parts = signed(b'{}', parent, b'{}', b'{}'); parts[1] = signature; send(parts)"
    ),
    "headers that are none": (
        "for header in (b'', b'{}', b'[]', b'null', b'{\"msg_type\":7}', b'{\"msg_type\":{}}', b'{', b'\\xff', b'[' * 60_000):\n"
        "    send(signed(header, parent, b'{}', b'{}')); send(signed(b'{\"msg_type\":\"status\"}', header, b'{}', b'{}'))"
    ),
    "contents that are none": (
        "for kind in ('stream', 'display_data', 'execute_result', 'update_display_data', 'status', 'clear_output', 'error', 'x'):\n"
        "    for content in (b'', b'[]', b'7', b'null', b'{', b'{\"data\":7}', b'{\"data\":[]}', b'{\"data\":{\"a\":', b'\\xff',\n"
        '                    b\'{"data":{"a":1}\', b\'{"data":{1:2}}\', b\'{"text":7,"name":[]}\', b\'{"execution_state":["idle"]}\',\n'
        "                    b'[' * 100_000, b'{\"data\":' * 100_000, b'{\"data\":{\"a\":' + b'[' * 100_000, b'9' * 5000):\n"
        "        say(kind, content)"
    ),
    "a display that is nested deep": "say('display_data', b'{\"data\":{\"a/b\":%b}}' % (b'[' * 900 + b']' * 900))",
    "a MIME type of 100 MB": "say('display_data', {'data': {'x' * 100_000_000: ''}})",
    "a MIME type of 9 MB": "say('display_data', {'data': {'x' * 9_000_000: ''}})",
    "a structure of 9 MB": "say('display_data', b'{\"data\":{\"a/b\":[%b[]]}}' % (b'[],' * 3_000_000))",
    "a text of 100 MB": "say('stream', {'name': 'stdout', 'text': 'x' * 100_000_000})",
    "numbers that are none": 'say(\'display_data\', b\'{"data":{"a/b":[NaN,1e999,-Infinity]},"transient":[1]}\')',
    "many MIME types": "say('display_data', {'data': {f'a/b{n}': n for n in range(100_000)}})",
    "a flood of displays": "for n in range(20_000): say('display_data', {'data': {'text/html': str(n) * 10}})",
    "a flood of nonsense": "for n in range(20_000): send([b'<IDS|MSG>', b'x', b'{}', b'{}', b'{}', b'{}'])",
    "a flood of displays for nobody": "for n in range(5_000): say('display_data', {'data': {'text/html': str(n)}}, parent=b'{}')",
    "many parts": "send([b'x'] * 100_000)",
    "an end that is none yet": "say('status', {'execution_state': 'idle'})\ntime.sleep(0.3)",
}
"""Each is followed by `print('done')`."""

REPLIES: dict[str, str] = {
    "an error of other types": "{'status': 'error', 'ename': ['x'], 'evalue': {'a': 1}, 'traceback': 'abc'}",
    "an error of 9 MB": "{'status': 'error', 'ename': 'E' * 3_000_000, 'evalue': 'v' * 3_000_000, 'traceback': ['t' * 3_000_000]}",
    "a traceback of a million parts": "{'status': 'error', 'ename': 'E', 'evalue': 'v', 'traceback': [1, None, 'x'] * 300_000}",
    "counts of other types": "{'status': 'ok', 'execution_count': -5, 'analystd': [1], 'payload': {'a': 1}}",
    "a count as long as a book": "{'status': 'ok', 'execution_count': 10 ** 4000, 'analystd': {'line': 10 ** 4000, 'cut': {}}}",
    "no status": "{}",
    "a status of another type": "{'status': ['ok'], 'payload': [{'source': []}, 3, [4]]}",
}
"""What the kernel replies to the cell, in place of what came of it."""

REPLYING = """
def forged(stream, kind, content=None, *args, _send=app.session.send, **kwargs):
    if kind == "execute_reply":
        app.session.send = _send
        content = {reply}
    return _send(stream, kind, content, *args, **kwargs)
app.session.send = forged
"""
