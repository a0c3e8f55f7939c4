#!/usr/bin/env python3
"""A web server on loopback for tests: files of a directory, ETag, Last-Modified, and some misbehaviour.

Usage: webserver.py DIRECTORY PORTFILE. Each request is a line "METHOD PATH STATUS" in DIRECTORY/.log.
"""
import email.utils
import hashlib
import http.server
import os
import sys
import time

root, portfile = sys.argv[1], sys.argv[2]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def finish_with(self, status, body=b"", headers=()):
        with open(os.path.join(root, ".log"), "a") as log:
            log.write(f"{self.command} {self.path} {status}\n")
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def never_end(self, slowly):
        self.close_connection = True
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(1200 if slowly else 1 << 20):
                self.wfile.write(b"x" * (1000 if slowly else 1 << 16))
                time.sleep(0.05 if slowly else 0)
        except OSError:
            pass

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.startswith("/redirect/"):
            return self.finish_with(302, headers=[("Location", "/" + path[len("/redirect/"):])])
        if path.startswith("/loop/"):
            return self.finish_with(302, headers=[("Location", path)])
        if path in ("/endless", "/drip"):
            return self.never_end(path == "/drip")
        if path.startswith("/silent/"):
            return time.sleep(60)
        if path.startswith("/denied/"):
            return self.finish_with(403, b"no")
        if path.startswith("/private/"):
            if self.headers.get("Authorization") != "Bearer s3cret-token":
                return self.finish_with(401, b"who are you?")
            path = path[len("/private"):]
        name = os.path.normpath(root + "/" + path)
        if not name.startswith(root) or not os.path.isfile(name):
            return self.finish_with(404, b"not here")
        with open(name, "rb") as file:
            body = file.read()
        headers = []
        tag = '"' + hashlib.sha256(body).hexdigest()[:16] + '"'
        if not path.startswith("/plain/"):
            modified = email.utils.formatdate(int(os.stat(name).st_mtime), usegmt=True)
            headers = [("ETag", tag), ("Last-Modified", modified)]
            if self.headers.get("If-None-Match") == tag or self.headers.get("If-Modified-Since") == modified:
                return self.finish_with(304, headers=headers)
        self.finish_with(200, body, headers)

    do_HEAD = do_GET


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(portfile + ".tmp", "w") as out:
    out.write(str(server.server_address[1]))
os.rename(portfile + ".tmp", portfile)
server.serve_forever()
