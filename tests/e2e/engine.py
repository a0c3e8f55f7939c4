"""A container engine for tests: engine.py ADDRESS MODE [DIR] answers POST /images/load on a unix socket or, with a port file, on TLS.

ADDRESS: path of a socket, or tls:PORTFILE with ca.pem, server.pem, server.key in DIR (clients need a certificate).
MODE: take (answers with the names it found), refuse (an error in a 200), status (500 with a message), early (answers and closes
before all was read), hang (reads nothing).
"""
import http.server
import io
import json
import os
import socketserver
import ssl
import sys
import tarfile
import time

address, mode = sys.argv[1:3]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def address_string(self):
        return 'test'

    def body(self):
        data = b''
        while True:
            size = int(self.rfile.readline(), 16)
            data += self.rfile.read(size)
            self.rfile.readline()
            if not size:
                return data

    def answer(self, status, *values):
        text = ''.join(json.dumps(v) + '\r\n' for v in values).encode()
        self.send_response(status)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        if mode == 'hang':
            time.sleep(60)
        if mode == 'early':
            self.rfile.read(100)
            self.answer(500, {'message': 'no space left on device'})
            self.close_connection = True
            return
        archive = tarfile.open(fileobj=io.BytesIO(self.body()))
        names = json.load(archive.extractfile('manifest.json'))[0]['RepoTags']
        if mode == 'refuse':
            self.answer(200, {'stream': 'Loading layer'}, {'errorDetail': {'message': 'bad layer'}, 'error': 'bad layer'})
        elif mode == 'status':
            self.answer(500, {'message': 'no space left on device'})
        else:
            print(self.path, self.headers['Content-Type'], *names, flush=True)
            self.answer(200, *[{'stream': 'Loaded image: %s\n' % n} for n in names])

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self):
        connection, _ = super().get_request()
        return connection, ('test', 0)


if address.startswith('tls:'):
    directory = sys.argv[3]
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory + '/server.pem', directory + '/server.key')
    context.load_verify_locations(directory + '/ca.pem')
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with open(address[4:] + '.tmp', 'w', encoding='utf-8') as f:
        f.write(str(server.server_address[1]))
    os.rename(address[4:] + '.tmp', address[4:])
else:
    server = Server(address, Handler)
server.serve_forever()
