#!/usr/bin/env python3
"""Pushes and pulls through a proxy that does what networks and registries do: registry_faults.py CBUILD REGISTRY DIR

REGISTRY (host:port, plain HTTP) has faults/base:1; DIR is for stores, of which DIR/store has the image faults/push:1 of
the registry's name. Each row of the table says what the proxy breaks, how often, and how cbuild must end: 0 when it has
to recover, 126 when a retry may mend it later, 1 when not. Whatever happens, a row has to end in time, a success has to
be the right image to the last byte, and credentials stay with the registry.
"""
import base64
import concurrent.futures
import hashlib
import http.client
import http.server
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

cbuild, registry, directory = sys.argv[1:4]
ROW_SECONDS = 60  # for one run: time-outs of 1 s and 4 s, three attempts, and a machine that is busy
SECRET = "Basic " + base64.b64encode(b"alice:secret").decode()

MANIFEST, BLOB, LAYER = r"/manifests/", r"/blobs/sha256:", r"/blobs/sha256:LAYER"
UPLOADS = r"/blobs/uploads/$"
SESSION = r"/blobs/uploads/.+"


class Fault:
    """What happens to the requests of one method and path: all of them, or the first few, after some that pass."""

    def __init__(self, method, path, do, times=1, after=0, **more):
        self.method, self.path, self.do, self.times, self.after, self.more = method, path, do, times, after, more


ALWAYS = 10**6


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Gone(Exception):
    pass


class Proxy:
    """One row's way to the registry, and a second, foreign address of it."""

    def __init__(self, row):
        self.row, self.lock, self.counts, self.leaks, self.served, self.tokens = row, threading.Lock(), {}, [], 0, 0
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def log_message(self, *args):
                pass

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except (Gone, OSError, http.client.HTTPException):
                    self.close_connection = True

            def serve(self):
                proxy.serve(self, foreign=self.server is not proxy.server)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.foreign = Server(("127.0.0.1", 0), Handler)
        self.host = "localhost:%d" % self.server.server_port
        self.foreign_host = "127.0.0.1:%d" % self.foreign.server_port
        for server in (self.server, self.foreign):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        for server in (self.server, self.foreign):
            server.shutdown()
            server.server_close()

    def find(self, method, path):
        """The fault for this request."""
        with self.lock:
            for fault in self.row["faults"]:
                if not re.fullmatch(fault.method, method) or not re.search(fault.path.replace("LAYER", layer), path):
                    continue
                n = self.counts.get(fault, 0)
                self.counts[fault] = n + 1
                if fault.after <= n < fault.after + fault.times:
                    return fault
        return None

    def answer(self, request, status, headers=(), body=b""):
        request.send_response(status)
        for name, value in headers:
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    def authorize(self, request):
        """True when the row wants no token, or has got a good one."""
        limit = self.row.get("token")
        if limit is None:
            return True
        if request.path.startswith("/token"):
            self.tokens += 1
            self.served = 0
            body = json.dumps({"token": "T%d" % self.tokens, "expires_in": 600}).encode()
            self.answer(request, 200, [("Content-Type", "application/json")], self.row.get("token_body", body))
            return False
        with self.lock:
            self.served += 1
            good = request.headers.get("Authorization") == "Bearer T%d" % self.tokens and self.served <= limit
        if not good:
            self.drain(request)
            self.answer(request, 401, [("WWW-Authenticate", 'Bearer realm="http://%s/token",service="x"' % self.host)])
        return good

    def drain(self, request, most=None):
        left = int(request.headers.get("Content-Length") or 0)
        left = left if most is None else min(left, most)
        data = b""
        while left:
            piece = request.rfile.read(min(left, 65536))
            if not piece:
                raise Gone
            data += piece
            left -= len(piece)
        return data

    def forward(self, request, body):
        upstream = http.client.HTTPConnection(registry, timeout=20)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("authorization", "connection")}
        headers["Host"] = self.host
        upstream.request(request.command, request.path, body if body or request.command in ("PUT", "POST", "PATCH") else None, headers)
        response = upstream.getresponse()
        data = response.read()
        headers = [(k, v) for k, v in response.getheaders() if k.lower() not in ("content-length", "connection")]
        length = response.getheader("Content-Length")
        upstream.close()
        return response.status, headers, data, length

    def serve(self, request, foreign):
        if foreign and request.headers.get("Authorization"):
            self.leaks.append(request.path)
        fault = None if foreign else self.find(request.command, request.path)
        if fault and self.before(request, fault):
            return
        if not foreign and not self.authorize(request):
            return
        body = self.drain(request)
        if fault and fault.do == "damage" and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        status, headers, data, length = self.forward(request, body)
        self.after(request, fault, status, headers, data, length)

    def before(self, request, fault):
        """True when the registry does not see the request."""
        more = fault.more
        if fault.do == "reset":
            reset(request.connection)
            raise Gone
        if fault.do == "reset-body":
            self.drain(request, more["at"])
            reset(request.connection)
            raise Gone
        if fault.do == "silent":
            time.sleep(more.get("seconds", 6))
            reset(request.connection)
            raise Gone
        if fault.do == "status":
            headers = list(more.get("headers", ()))
            if more["status"] == 401:
                headers.append(("WWW-Authenticate", 'Bearer realm="http://%s/token",service="x"' % self.host))
            self.drain(request)
            self.answer(request, more["status"], headers, more.get("body", b""))
            return True
        if fault.do == "redirect":
            self.drain(request)
            host = self.foreign_host if more.get("foreign") else self.host
            self.answer(request, 307, [("Location", "http://" + host + request.path)])
            return True
        return False

    def after(self, request, fault, status, headers, data, length):
        do, more = (fault.do, fault.more) if fault else (None, {})
        if do == "lost":
            reset(request.connection)
            raise Gone
        if do == "header":
            headers = [(k, v) for k, v in headers if k.lower() != more["name"].lower()]
            if more.get("value") is not None:
                headers.append((more["name"], more["value"]))
        if do == "location":
            headers = [(k, more["change"](v, self) if k.lower() == "location" else v) for k, v in headers]
        if do == "many-headers":
            headers += [("X-%d" % i, "y" * more.get("size", 10)) for i in range(more["n"])]
        if do == "change":
            data = more["change"](data)
            length = str(len(data))
        request.send_response(status)
        for name, value in headers:
            request.send_header(name, value)
        request.send_header("Content-Length", length if length is not None else str(len(data)))
        request.end_headers()
        if request.command == "HEAD":
            return
        if do == "cut":
            request.wfile.write(data[:more["at"]])
            request.wfile.flush()
            time.sleep(0.05)
            reset(request.connection)
            raise Gone
        if do == "stall":
            request.wfile.write(data[:more["at"]])
            request.wfile.flush()
            time.sleep(6)
            raise Gone
        if do == "trickle":
            for i in range(len(data)):
                request.wfile.write(data[i:i + 1])
                request.wfile.flush()
                time.sleep(0.1)
        request.wfile.write(data)


def flip(data):
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


def row(name, want, *faults, op=None, says=None, **more):
    return {"name": name, "want": want, "faults": faults, "says": says, "op": op, **more}


def pulls():
    for what, method, path in (("the name", "HEAD", MANIFEST), ("the manifest", "GET", MANIFEST), ("a blob", "GET", BLOB)):
        yield row(what + ": reset", 0, Fault(method, path, "reset"))
        yield row(what + ": reset always", 126, Fault(method, path, "reset", ALWAYS))
        for status in (429, 500, 502, 503, 504):
            yield row("%s: %d once" % (what, status), 0, Fault(method, path, "status", status=status))
        yield row(what + ": 429, Retry-After", 0, Fault(method, path, "status", status=429, headers=[("Retry-After", "1")]))
        # What HEAD does not answer GET may.
        yield row(what + ": 503 always", 0 if method == "HEAD" else 126, Fault(method, path, "status", ALWAYS, status=503))
        yield row(what + ": silent once", 0, Fault(method, path, "silent"))
        yield row(what + ": silent always", 126, Fault(method, path, "silent", ALWAYS), says=" seconds")
        yield row(what + ": redirected for ever", 1, Fault(method, path, "redirect", ALWAYS), says="redirects")
        yield row(what + ": many headers", 1, Fault(method, path, "many-headers", ALWAYS, n=300), says="too many headers")
        yield row(what + ": 404", 1, Fault(method, path, "status", ALWAYS, status=404), says="not found")
        yield row(what + ": 403", 1, Fault(method, path, "status", ALWAYS, status=403), says="access denied")
    yield row("the very first request is reset", 0, Fault("GET", r"/v2/$", "reset"))
    yield row("large headers", 1, Fault("GET", MANIFEST, "many-headers", ALWAYS, n=3, size=40000))
    yield row("manifest: broken off", 0, Fault("GET", MANIFEST, "cut", at=100))
    yield row("manifest: broken off always", 126, Fault("GET", MANIFEST, "cut", ALWAYS, at=100))
    yield row("manifest: other bytes", 1, Fault("GET", MANIFEST, "change", ALWAYS, change=flip), says="has digest")
    yield row("manifest: not JSON", 1, Fault("GET", MANIFEST, "change", ALWAYS, change=lambda d: b"{{{"), says="has digest")
    yield row("manifest: shorter", 1, Fault("GET", MANIFEST, "change", ALWAYS, change=lambda d: d[:-9]), says="has digest")
    yield row("manifest: as HTML", 0, Fault("GET|HEAD", MANIFEST, "header", ALWAYS, name="Content-Type", value="text/html"))
    yield row("manifest: another digest in HEAD", 1,
              Fault("HEAD", MANIFEST, "header", ALWAYS, name="Docker-Content-Digest", value="sha256:" + "0" * 64))
    yield row("manifest: no digest in HEAD", 0, Fault("HEAD", MANIFEST, "header", ALWAYS, name="Docker-Content-Digest"))
    yield row("blob: broken off, goes on", 0, Fault("GET", LAYER, "cut", at=150000))
    yield row("blob: broken off again and again", 0, Fault("GET", LAYER, "cut", 4, at=70000))
    yield row("blob: other bytes", 1, Fault("GET", LAYER, "change", ALWAYS, change=flip))
    yield row("blob: shorter", 126, Fault("GET", LAYER, "change", ALWAYS, change=lambda d: d[:1000]))
    yield row("blob: longer", 1, Fault("GET", LAYER, "change", ALWAYS, change=lambda d: d + b"x"), says="larger")
    yield row("blob: stalls once", 0, Fault("GET", LAYER, "stall", at=1000))
    yield row("blob: stalls always", 126, Fault("GET", LAYER, "stall", ALWAYS, at=1000), says=" seconds")
    yield row("blob: trickles", 126, Fault("GET", LAYER, "trickle", ALWAYS))
    yield row("blob: from another host", 0, Fault("GET", BLOB, "redirect", ALWAYS, foreign=True), token=1000)
    yield row("token: service resets", 0, Fault("GET", "^/token", "reset"), token=1000)
    yield row("token: service fails", 126, Fault("GET", "^/token", "status", ALWAYS, status=500), token=1000)
    yield row("token: not JSON", 1, token=1000, token_body=b"<html>", says="log in")
    yield row("token: none in the answer", 1, token=1000, token_body=b"{}", says="without a token")
    yield row("token: service refuses", 1, Fault("GET", "^/token", "status", ALWAYS, status=401), token=1000, says="401")
    yield row("token: runs out", 0, token=2)
    yield row("token: never good", 1, token=0, says="401")


def to_foreign(location, proxy):
    return location.replace(proxy.host, proxy.foreign_host)


def pushes():
    for what, method, path in (("HEAD", "HEAD", BLOB), ("POST", "POST", UPLOADS), ("PUT", "PUT", SESSION),
                               ("manifest", "PUT", MANIFEST)):
        yield row(what + ": reset", 0, Fault(method, path, "reset"))
        yield row(what + ": reset always", 126, Fault(method, path, "reset", ALWAYS))
        yield row(what + ": 429, Retry-After", 0, Fault(method, path, "status", status=429, headers=[("Retry-After", "1")]))
        for status in (500, 502, 503, 504):
            yield row("%s: %d once" % (what, status), 0, Fault(method, path, "status", status=status))
        yield row(what + ": 503 always", 126, Fault(method, path, "status", ALWAYS, status=503), says="503")
        yield row(what + ": answer lost", 0, Fault(method, path, "lost"))
        yield row(what + ": silent once", 0, Fault(method, path, "silent"))
        yield row(what + ": 403", 1, Fault(method, path, "status", ALWAYS, status=403), says="access denied")
        yield row(what + ": redirected for ever", 1, Fault(method, path, "redirect", ALWAYS), says="redirects")
    yield row("PUT: silent always", 126, Fault("PUT", SESSION, "silent", ALWAYS, seconds=12), says=" seconds")
    yield row("PUT: reset in the middle", 0, Fault("PUT", SESSION, "reset-body", at=100))
    yield row("PUT: 413", 1, Fault("PUT|PATCH", SESSION, "status", ALWAYS, status=413), says="413")
    yield row("PUT: damaged once", 0, Fault("PUT", SESSION, "damage"))
    yield row("PUT: damaged always", 1, Fault("PUT", SESSION, "damage", ALWAYS), says="digest")
    yield row("PUT: stored as something else", 1,
              Fault("PUT", SESSION, "header", ALWAYS, name="Docker-Content-Digest", value="sha256:" + "0" * 64), says="stored it as")
    yield row("PUT: to another host", 0, Fault("PUT", SESSION, "redirect", ALWAYS, foreign=True), token=1000)
    yield row("POST: no Location", 1, Fault("POST", UPLOADS, "header", ALWAYS, name="Location"), says="where to upload")
    yield row("POST: relative Location", 0, Fault("POST", UPLOADS, "location", ALWAYS, change=lambda v, p: v.split(p.host)[1]))
    yield row("POST: more query", 0, Fault("POST", UPLOADS, "location", ALWAYS, change=lambda v, p: v + "&x=%2F&y"))
    yield row("POST: Location elsewhere", 0, Fault("POST", UPLOADS, "location", ALWAYS, change=to_foreign), token=1000)
    yield row("POST: Location is nonsense", 1, Fault("POST", UPLOADS, "location", ALWAYS, change=lambda v, p: "ftp://x/"), says="address")
    yield row("POST: 404", 1, Fault("POST", UPLOADS, "status", ALWAYS, status=404), says="not found")
    yield row("manifest: 400", 1, Fault("PUT", MANIFEST, "status", ALWAYS, status=400), says="400")
    yield row("manifest: stored as something else", 1,
              Fault("PUT", MANIFEST, "header", ALWAYS, name="Docker-Content-Digest", value="sha256:" + "0" * 64), says="stored")
    yield row("token: runs out", 0, token=3)
    yield row("token: never good", 1, token=0, says="401")
    for name, want, *faults in (
            ("nothing", 0),
            ("reset", 0, Fault("PATCH", SESSION, "reset", after=1)),
            ("reset in the middle", 0, Fault("PATCH", SESSION, "reset-body", after=1, at=1000)),
            ("answer lost", 0, Fault("PATCH", SESSION, "lost", after=1)),
            ("503", 0, Fault("PATCH", SESSION, "status", after=1, status=503)),
            ("503 always", 126, Fault("PATCH", SESSION, "status", ALWAYS, status=503)),
            ("silent", 0, Fault("PATCH", SESSION, "silent", after=1)),
            ("took less, it says", 0, Fault("PATCH", SESSION, "header", name="Range", value="0-9")),
            ("took more, it says", 0, Fault("PATCH", SESSION, "header", name="Range", value="0-99999999")),
            ("session forgotten", 0, Fault("PATCH", SESSION, "status", after=1, status=404)),
            ("401 in the middle", 0, Fault("PATCH", SESSION, "status", after=1, status=401)),
            ("last PUT: answer lost", 0, Fault("PUT", SESSION, "lost")),
            ("last PUT: 500", 0, Fault("PUT", SESSION, "status", status=500))):
        yield row("pieces: " + name, want, *faults, chunk=True, token=1000 if "401" in name else None)


def fetch(path, kind=""):
    connection = http.client.HTTPConnection(registry, timeout=20)
    connection.request("GET", path, headers={"Accept": kind} if kind else {})
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return data if response.status == 200 else None


KIND = "application/vnd.oci.image.manifest.v1+json"


def check_pulled(where, host):
    """The image in the store at where, or None when it has no such name."""
    index = json.load(open(where + "/index.json")) if os.path.exists(where + "/index.json") else {"manifests": []}
    names = [m for m in index.get("manifests") or [] if host in json.dumps(m)]
    if not names:
        return None
    for digest in [names[0]["digest"]] + parts:
        data = open(where + "/blobs/sha256/" + digest[7:], "rb").read()
        if "sha256:" + hashlib.sha256(data).hexdigest() != digest:
            return "blob %s is wrong" % digest
    return "" if names[0]["digest"] == want_digest else "another image"


def check_pushed(repository):
    data = fetch("/v2/%s/manifests/1" % repository, KIND)
    if data is None:
        return None
    for digest in parts:
        blob = fetch("/v2/%s/blobs/%s" % (repository, digest))
        if blob is None or "sha256:" + hashlib.sha256(blob).hexdigest() != digest:
            return "blob %s is wrong or missing" % digest
    return "" if "sha256:" + hashlib.sha256(data).hexdigest() == want_digest else "another image"


def run(number, item):
    proxy = Proxy(item)
    home = "%s/row%d" % (directory, number)
    os.mkdir(home)
    with open(home + "/config.json", "w") as out:
        json.dump({"auths": {proxy.host: {"auth": SECRET[6:]}}}, out)
    env = dict(os.environ, DOCKER_CONFIG=home)
    options = ["--registry-timeout", "1", "--registry-retries", "2", "--progress", "plain"]
    if item.get("chunk"):
        options += ["--upload-chunk", "100k"]
    repository = "faults/row%d" % number
    if item["op"] == "pull":
        command = [cbuild, "pull", "--root", home + "/store", *options, proxy.host + "/faults/base:1"]
    else:
        command = [cbuild, "push", "--root", directory + "/store", *options, registry + "/faults/base:1", proxy.host + "/" + repository + ":1"]
    start = time.monotonic()
    problem = None
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=ROW_SECONDS)
        text, status = done.stdout + done.stderr, done.returncode
    except subprocess.TimeoutExpired as expired:
        text, status, problem = str(expired.stderr), -1, "hangs"
    proxy.close()
    found = check_pulled(home + "/store", proxy.host) if item["op"] == "pull" else check_pushed(repository)
    shutil.rmtree(home, ignore_errors=True)
    if not problem and status != item["want"]:
        problem = "exit status %d, want %d" % (status, item["want"])
    elif status == 0 and found != "":
        problem = "success, but: %s" % found
    elif found:
        problem = "failed and left: %s" % found
    elif status and "cbuild: error: " not in text:
        problem = "no error is told"
    elif item["says"] and item["says"] not in text:
        problem = "does not say: %s" % item["says"]
    elif proxy.leaks or "secret" in text:
        problem = "credentials leaked: %s" % proxy.leaks
    return "%s: %s" % (item["op"], item["name"]), problem, text, time.monotonic() - start


base = fetch("/v2/faults/base/manifests/1", KIND)
want_digest = "sha256:" + hashlib.sha256(base).hexdigest()
document = json.loads(base)
layer = max(document["layers"], key=lambda entry: entry["size"])["digest"][7:]
parts = [document["config"]["digest"]] + [entry["digest"] for entry in document["layers"]]
table = [dict(item, op="pull") for item in pulls()] + [dict(item, op="push") for item in pushes()]
only = os.environ.get("CBUILD_FAULT")
table = [item for item in table if not only or only in item["op"] + ": " + item["name"]]
failures, slowest = 0, 0
with concurrent.futures.ThreadPoolExecutor(10) as pool:
    for name, problem, text, seconds in pool.map(lambda pair: run(*pair), enumerate(table)):
        slowest = max(slowest, seconds)
        if problem or only:
            print("%s (%.1f s): %s\n    %s" % (name, seconds, problem, text.strip().replace("\n", "\n    ")))
        failures += problem is not None
print("%d rows, %d failures, the slowest took %.1f s" % (len(table), failures, slowest))
sys.exit(1 if failures else 0)
