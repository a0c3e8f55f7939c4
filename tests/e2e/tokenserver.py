#!/usr/bin/env python3
"""A token service for docker-registry: tokenserver.py KEY.pem CERT.pem LIFETIME USER:PASSWORD

Serves GET /token (Basic or nobody) on a free port of 127.0.0.1, which it prints. cbuild's tokens
live LIFETIME seconds (the registry allows a minute more), but the answer says 600: who believes it is refused in the
middle of its work. Who gives no password may pull. Each request is one line on standard error: user, scopes.
"""
import base64
import http.server
import json
import subprocess
import sys
import time
import urllib.parse

key, cert, lifetime, login = sys.argv[1:5]
der = subprocess.run(["openssl", "x509", "-in", cert, "-outform", "DER"], check=True, capture_output=True).stdout


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(user, scopes, audience, life):
    access = []
    for scope in scopes:
        kind, name, actions = scope.split(":")[0], ":".join(scope.split(":")[1:-1]), scope.split(":")[-1].split(",")
        access.append({"type": kind, "name": name, "actions": [a for a in actions if user or a == "pull"]})
    now = int(time.time())
    head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
    claims = {"iss": "test", "sub": user, "aud": audience, "exp": now + life, "nbf": now - 60, "iat": now,
              "jti": str(time.time()), "access": access}
    text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(claims).encode())
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=text.encode(), check=True,
                               capture_output=True).stdout
    return text + "." + b64(signature)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        given = self.headers.get("Authorization", "")
        user = ""
        if given:
            user = base64.b64decode(given.split(" ")[1]).decode()
            if user != login:
                return self.answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]})
            user = user.split(":")[0]
        scopes = [s for value in query.get("scope", []) for s in value.split(" ")]
        print("token", user or "-", *scopes, file=sys.stderr, flush=True)
        # Others do not come back for another token.
        life = int(lifetime) if "cbuild" in self.headers.get("User-Agent", "") else 600
        self.answer(200, {"token": token(user, scopes, query.get("service", [""])[0], life), "expires_in": 600})

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
