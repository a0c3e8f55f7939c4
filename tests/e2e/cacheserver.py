"""A server for the tests of remote caches: GET, HEAD and PUT of files below a directory.

cacheserver.py PORT-FILE DIRECTORY LOG [s3] [grumpy] [delay=MS] [stuck] [bazel]
s3: every request must be signed (AWS Signature Version 4, key AKIDTEST, secret sekret, region eu-test-1).
grumpy: every request is answered with status 500.
delay: every request is answered that much later, as by a server far away.
stuck: requests to read are never answered.
bazel: records must be ActionResult messages; they get the name of a worker, as bazel-remote gives it, and are only there
while all files that they name are.
While DIRECTORY/lost is there, blobs are said to be there and are gone when they are asked for.
"""
import hashlib
import hmac
import http.server
import os
import sys
import time
import urllib.parse

port_file, root, log_file = sys.argv[1:4]
options = sys.argv[4:]
log = open(log_file, "a", buffering=1)
delay = sum(float(option[6:]) / 1000 for option in options if option.startswith("delay="))


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature_is_right(method, path, headers, body):
    """As the documentation of S3 has it, from the request as it arrived."""
    authorization = headers.get("Authorization", "")
    if not authorization.startswith("AWS4-HMAC-SHA256 "):
        return False
    parts = dict(part.strip().split("=", 1) for part in authorization.split(" ", 1)[1].split(","))
    key, day, region, service, end = parts["Credential"].split("/")
    if (key, region, service, end) != ("AKIDTEST", "eu-test-1", "s3", "aws4_request"):
        return False
    payload = headers.get("x-amz-content-sha256", "")
    if payload != hashlib.sha256(body).hexdigest():
        return False
    signed = parts["SignedHeaders"].split(";")
    if "host" not in signed or "x-amz-date" not in signed or "x-amz-content-sha256" not in signed:
        return False
    url = urllib.parse.urlsplit(path)
    canonical = "\n".join(
        [method, urllib.parse.quote(urllib.parse.unquote(url.path)), url.query]
        + ["%s:%s" % (name, " ".join(headers.get(name, "").split())) for name in signed]
        + ["", ";".join(signed), payload])
    scope = "/".join([day, region, service, end])
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    secret = sign(sign(sign(sign(b"AWS4sekret", day), region), service), end)
    return hmac.compare_digest(hmac.new(secret, text.encode(), hashlib.sha256).hexdigest(), parts["Signature"])


def fields(data):
    """The fields of a message: number, wire type, value."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, 0, varint()
        elif tag & 7 == 2:
            size = varint()
            if at + size > len(data):
                raise ValueError("longer than the message")
            yield tag >> 3, 2, data[at:at + size]
            at += size
        else:
            raise ValueError("wire type %d" % (tag & 7))


def named_files(message):
    """The digests of the output files of an ActionResult."""
    for number, kind, value in fields(message):
        if (number, kind) == (2, 2):
            file = {n: v for n, _, v in fields(value)}
            digest = {n: v for n, _, v in fields(file[2])}
            if not file[1] or len(digest[1]) != 64:
                raise ValueError("a file without name or digest")
            yield digest[1].decode(), digest.get(2, 0)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = os.path.join(root, urllib.parse.urlsplit(self.path).path.lstrip("/"))
        time.sleep(3600 if "stuck" in options and self.command != "PUT" else delay)
        if "grumpy" in options:
            return self.answer(500, b"no")
        if "s3" in options and not signature_is_right(self.command, self.path, self.headers, body):
            log.write("UNSIGNED %s %s\n" % (self.command, self.path))
            return self.answer(403, b"SignatureDoesNotMatch")
        log.write("%s %s\n" % (self.command, self.path))
        if self.command == "PUT" and "bazel" in options and "/ac/" in path:
            try:
                list(named_files(body))
            except (ValueError, IndexError, KeyError) as error:
                log.write("REFUSED %s: %r\n" % (self.path, error))
                return self.answer(400, b"no ActionResult")
            body += b"\x4a\x08\x0a\x06worker"
        if self.command == "PUT":
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path + ".tmp%d" % id(self), "wb") as file:
                file.write(body)
            os.rename(path + ".tmp%d" % id(self), path)
            return self.answer(201)
        if self.command == "GET" and "/cas/" in path and os.path.exists(os.path.join(root, "lost")):
            return self.answer(404)
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            return self.answer(404)
        if "bazel" in options and "/ac/" in path:
            for digest, size in named_files(data):
                blob = os.path.join(root, "cas", digest)
                if not os.path.exists(blob) or os.path.getsize(blob) != size:
                    return self.answer(404)
        return self.answer(200, data)

    do_GET = do_HEAD = do_PUT = handle_any

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        """Builds that end do not wait for answers."""


server = Server(("127.0.0.1", 0), Handler)
with open(port_file + ".tmp", "w") as file:
    file.write(str(server.server_address[1]))
os.rename(port_file + ".tmp", port_file)
server.serve_forever()
