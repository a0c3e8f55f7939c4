"""A registry on loopback whose images are each broken in their own way, but for `base`."""
import gzip
import hashlib
import http.server
import io
import json
import os
import tarfile
import threading

MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
INDEX = 'application/vnd.oci.image.index.v1+json'
CONFIG = 'application/vnd.oci.image.config.v1+json'
LAYER = 'application/vnd.oci.image.layer.v1.tar'


def digest(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()


def tar(*entries):
    """A tar of (name, content), (name, content, mode), or (name, TarInfo fields as dict)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as archive:
        for name, content, *mode in entries:
            info = tarfile.TarInfo(name)
            info.mode = mode[0] if mode else 0o644
            if isinstance(content, dict):
                for key, value in content.items():
                    setattr(info, key, value)
                content = b''
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def base_layer():
    """A root with busybox, and things in it that cannot be run."""
    entries = [(name, {'type': tarfile.DIRTYPE}, 0o755) for name in ('bin', 'etc', 'tmp')]
    with open('/bin/busybox', 'rb') as f:
        entries.append(('bin/busybox', f.read(), 0o755))
    entries += [('bin/' + name, {'type': tarfile.SYMTYPE, 'linkname': 'busybox'})
                for name in ('sh', 'cat', 'echo', 'false', 'kill', 'ls', 'mkdir', 'printf', 'seq', 'sleep', 'touch', 'true')]
    entries += [('bin/not-executable', b'#!/bin/sh\n'), ('bin/no-interpreter', b'#!/nowhere/sh\n', 0o755),
                ('bin/not-a-program', b'\x00\x01\x02', 0o755),
                ('etc/passwd', b'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n'),
                ('etc/group', b'root:x:0:\nuser:x:1000:\n')]
    return tar(*entries)


class Registry:
    """Makes the images and serves them; .host is "localhost:PORT"."""

    def __init__(self):
        self.manifests = {}  # "name:tag" or "name@digest" -> (media type, bytes)
        self.blobs = {}      # "name@digest" -> bytes, or a number for an HTTP status, or a function of the handler
        self.digests = {}    # digest -> how the tests call it
        self.images()
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def log_message(self, *args):
                pass

            def do_HEAD(self):
                registry.answer(self)

            do_GET = do_HEAD

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # that client has gone

        self.server = Server(('127.0.0.1', 0), Handler)
        self.host = 'localhost:%d' % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler):
        parts = handler.path.split('?')[0].split('/')[2:]
        if len(parts) < 3:
            return self.send(handler, 200, 'application/json', b'{}')
        name, kind, what = '/'.join(parts[:-2]), parts[-2], parts[-1]
        if name == 'loop':
            return self.send(handler, 307, 'text/plain', b'', {'Location': handler.path})
        if name in FAILING:
            status, body, headers = FAILING[name]
            return self.send(handler, status, 'application/json', body, headers)
        if kind == 'manifests':
            found = self.manifests.get(name + ('@' if ':' in what else ':') + what)
            if found:
                return self.send(handler, 200, found[0], found[1])
            return self.send(handler, 404, 'application/json',
                             b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
        data = self.blobs.get(name + '@' + what, 404)
        if isinstance(data, int):
            return self.send(handler, data, 'application/json',
                             b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}')
        if isinstance(data, tuple):  # so many bytes are promised
            return self.send(handler, 200, 'application/octet-stream', data[0], {'Content-Length': str(data[1])})
        return self.send(handler, 200, 'application/octet-stream', data)

    @staticmethod
    def send(handler, status, kind, body, headers=None):
        headers = {'Content-Type': kind, 'Content-Length': str(len(body)), **(headers or {})}
        handler.send_response(status)
        for key, value in headers.items():
            handler.send_header(key, value)
        handler.end_headers()
        if handler.command != 'HEAD':
            handler.wfile.write(body)
        if int(headers['Content-Length']) != len(body):
            handler.close_connection = True

    # ---- the images -----------------------------------------------------------------------------------------------

    def blob(self, name, data, served=None, label=None):
        self.blobs['%s@%s' % (name, digest(data))] = data if served is None else served
        self.digests[digest(data)] = label
        return {'digest': digest(data), 'size': len(data)}

    def manifest(self, name, data, kind=MANIFEST, label='manifest'):
        data = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.manifests[name + ':latest'] = self.manifests['%s@%s' % (name, digest(data))] = (kind, data)
        self.digests.setdefault(digest(data), label)
        return {'mediaType': kind, 'digest': digest(data), 'size': len(data)}

    def image(self, name, layer=None, layer_type=LAYER, diff_ids=None, config=None, served_config=None,
              served_layer=None, **manifest):
        """An image of one layer, right but for what is given."""
        layer = tar(('file', b'content\n')) if layer is None else layer
        if config is None:
            plain = gzip.decompress(layer) if layer_type.endswith('gzip') and diff_ids is None else layer
            config = json.dumps({'architecture': 'amd64', 'os': 'linux', 'config': {'Env': ['PATH=/bin']},
                                 'rootfs': {'type': 'layers', 'diff_ids': diff_ids or [digest(plain)]}}).encode()
        doc = {'schemaVersion': 2, 'mediaType': MANIFEST,
               'config': {'mediaType': CONFIG, **self.blob(name, config, served_config, 'config')},
               'layers': [{'mediaType': layer_type, **self.blob(name, layer, served_layer, 'layer')}]}
        doc.update(manifest)
        return self.manifest(name, doc)

    def images(self):
        good = tar(('file', b'content\n'))
        with open('/bin/busybox', 'rb'):
            self.image('base', base_layer())
        self.image('small')
        self.manifest('garbage-manifest', b'<html>Welcome to the hotel network</html>', 'text/html')
        self.manifest('cut-manifest', b'{"schemaVersion": 2, "config": {')
        self.manifest('deep-manifest', b'[' * 100000)
        self.manifest('empty-manifest', b'')
        self.manifest('no-layers', {'schemaVersion': 2, 'mediaType': MANIFEST,
                                    'config': {'mediaType': CONFIG, 'digest': 'sha256:' + '1' * 64, 'size': 2}})
        self.manifest('bad-digest-text', {'schemaVersion': 2, 'mediaType': MANIFEST, 'layers': [],
                                          'config': {'mediaType': CONFIG, 'digest': 'sha256:../../etc', 'size': 2}})
        self.manifest('negative-size', {'schemaVersion': 2, 'mediaType': MANIFEST, 'layers': [],
                                        'config': {'mediaType': CONFIG, 'digest': 'sha256:' + '1' * 64, 'size': -5}})
        self.manifest('schema1', {'schemaVersion': 1, 'name': 'x', 'fsLayers': []},
                      'application/vnd.docker.distribution.manifest.v1+prettyjws')
        other = self.image('other-digest')
        self.manifests['other-digest@sha256:' + '0' * 64] = self.manifests['other-digest@' + other['digest']]
        self.image('garbage-config', config=b'this is not JSON')
        self.image('changed-config', served_config=b'x' * 233)
        self.image('missing-config', served_config=404)
        self.image('array-config', config=b'[]')
        self.image('few-diff-ids', config=b'{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}')
        self.image('missing-layer', served_layer=404)
        self.image('changed-layer', served_layer=tar(('file', b'Content\n')))
        self.image('short-layer', served_layer=(good[:1000], len(good)))
        self.image('wrong-diff-id', diff_ids=['sha256:' + '2' * 64])
        packed = gzip.compress(good, 6, mtime=0)
        self.image('cut-gzip', packed[:len(packed) // 2], LAYER + '+gzip', diff_ids=[digest(good)])
        junk = b'junk, and no archive at all. ' * 100
        self.image('junk-layer', junk, diff_ids=[digest(junk)])
        self.image('junk-gzip', b'\x1f\x8b\x08\x00' + b'junk' * 50, LAYER + '+gzip', diff_ids=[digest(good)])
        cut = good[:700]
        self.image('cut-tar', cut, diff_ids=[digest(cut)])
        self.image('foreign-layer', good, 'application/vnd.example.wasm')
        self.image('climbing-layer', tar(('../../climbed', b'x')))
        self.image('file-as-directory', tar(('a', b'x'), ('a/b', b'x')))
        arm = self.image('arm-only')
        for extra in ('index', 'empty-index'):
            entries = [{**arm, 'platform': {'os': 'linux', 'architecture': a}} for a in ('arm64', 's390x')]
            self.manifest('arm-only' if extra == 'index' else extra,
                          {'schemaVersion': 2, 'mediaType': INDEX, 'manifests': entries if extra == 'index' else []}, INDEX)
        self.manifest('index-loop', {'schemaVersion': 2, 'mediaType': INDEX, 'manifests': [
            {'mediaType': MANIFEST, 'digest': 'sha256:' + '3' * 64, 'size': 100,
             'platform': {'os': 'linux', 'architecture': 'amd64'}}]}, INDEX)


FAILING = {
    'private': (401, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}',
                {'WWW-Authenticate': 'Basic realm="fake"'}),
    'forbidden': (403, b'{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}', {}),
    'down': (503, b'down for maintenance', {'Retry-After': '0'}),
    'limited': (429, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"pull rate limit"}]}', {'Retry-After': '0'}),
    'teapot': (418, b'\x1b[31mI am a teapot\x1b[0m\x07', {}),
}


if __name__ == '__main__':
    print(Registry().host, flush=True)
    threading.Event().wait()
