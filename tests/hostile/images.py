"""The registry of the hostile tests: a good base, images of hostile layers, answers that no registry should give."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e', 'bad_input'))
import fakeregistry as fake  # noqa: E402
from archives import ATTACKS, DIR, sym, tar  # noqa: E402

CONFIG = {'architecture': 'amd64', 'os': 'linux', 'config': {'Env': ['PATH=/bin']}}


def applets():
    with os.popen('/bin/busybox --list') as listing:
        return listing.read().split()


def base_layer(probe, etc=True):
    """A root with busybox and the probe."""
    entries = [(name, {'type': DIR}, 0o755) for name in ('bin', 'root', 'var') + (('etc',) if etc else ())]
    entries += [('tmp', {'type': DIR}, 0o1777)]
    with open('/bin/busybox', 'rb') as busybox, open(probe, 'rb') as probe_file:
        entries += [('bin/busybox', busybox.read(), 0o755), ('bin/probe', probe_file.read(), 0o755)]
    entries += [('bin/' + name, sym('busybox')) for name in applets() if name != 'busybox']
    if etc:
        entries += [('etc/passwd', b'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n'),
                    ('etc/group', b'root:x:0:\nuser:x:1000:\n')]
    return tar(*entries)


class Registry(fake.Registry):
    def __init__(self, probe, outside):
        self.probe, self.o = probe, outside.lstrip('/')
        self.base = base_layer(probe)
        super().__init__()

    def layered(self, name, layers, config=None, document=None, label='layer'):
        """An image of these layers. config: fields beside the root file system, or all of its bytes."""
        if not isinstance(config, bytes):
            plain = [fake.gzip.decompress(layer) if layer[:2] == b'\x1f\x8b' and not label == 'broken' else layer for layer in layers]
            fields = {**CONFIG, **(config or {}), 'rootfs': {'type': 'layers', 'diff_ids': [fake.digest(p) for p in plain]}}
            config = json.dumps(fields).encode()
        doc = {'schemaVersion': 2, 'mediaType': fake.MANIFEST,
               'config': {'mediaType': fake.CONFIG, **self.blob(name, config, None, 'config')},
               'layers': [{'mediaType': fake.LAYER + ('+gzip' if layer[:2] == b'\x1f\x8b' else ''), **self.blob(name, layer, None, label)}
                          for layer in layers]}
        doc.update(document or {})
        return self.manifest(name, doc)

    def answer(self, handler):
        where = REDIRECTS.get(handler.path.split('/')[2] if handler.path.count('/') > 2 else '')
        if where and '/blobs/' in handler.path:
            return self.send(handler, 307, 'text/plain', b'', {'Location': where.replace('@OUTSIDE@', '/' + self.o)})
        if handler.path.startswith('/file/'):
            return self.send(handler, *self.download(handler.path))
        return super().answer(handler)

    def download(self, path):
        if path.startswith('/file/disposition'):
            return 200, 'text/plain', b'owned\n', {'Content-Disposition': 'attachment; filename="../../../../%s/pwned"' % self.o}
        if path.startswith('/file/to-file'):
            return 302, 'text/plain', b'', {'Location': 'file:///%s/victim' % self.o}
        if path.startswith('/file/to-gopher'):
            return 302, 'text/plain', b'', {'Location': 'gopher://127.0.0.1:1/_x'}
        if path.startswith('/file/lies'):
            return 200, 'text/plain', b'short', {'Content-Length': '-5'}
        return 200, 'text/plain', b'owned\n', {}

    def images(self):
        base, o = self.base, self.o
        self.layered('base', [base])
        for at, (_, make, as_layer, _) in enumerate(ATTACKS):
            if as_layer is not None:
                layers = make(o)
                try:
                    self.layered('attack%d' % at, [base] + layers)
                except (EOFError, OSError):  # a broken gzip has no digest of its content
                    self.layered('attack%d' % at, [base] + layers, label='broken')
        # What is mounted in every container, turned into something else.
        for name in ('dev', 'proc', 'sys', 'etc', 'run', 'tmp'):
            self.layered('link-' + name, [base_layer(self.probe, name != 'etc') if name != 'tmp' else base,
                                          tar((name, sym('/' + o + '/dir')))])
            self.layered('climb-' + name, [base_layer(self.probe, name != 'etc'), tar((name, sym('../' * 20 + o + '/dir')))])
        self.layered('file-dev', [base, tar(('dev', b'a file'))])
        self.layered('file-proc', [base, tar(('proc', b'a file'))])
        self.layered('dev-null-link', [base, tar(('dev', {'type': DIR}, 0o755), ('dev/null', sym('/proc/sys/kernel/core_pattern')),
                                                 ('dev/console', sym('/proc/sysrq-trigger')), ('dev/shm', sym('/' + o + '/dir')))])
        self.layered('masked-links', [base, tar(('proc', {'type': DIR}, 0o755), ('proc/sys', sym('/' + o)), ('proc/kcore', sym('/' + o + '/victim')),
                                                ('proc/self', sym('/' + o)), ('sys', {'type': DIR}, 0o755), ('sys/firmware', sym('/' + o)))])
        self.layered('resolv-link', [base, tar(('etc/resolv.conf', sym('/' + o + '/victim')), ('etc/hosts', sym('/' + o + '/victim')))])
        self.layered('resolv-dir', [base, tar(('etc/resolv.conf', {'type': DIR}, 0o755), ('etc/hosts', {'type': DIR}, 0o755))])
        self.layered('passwd-link', [base, tar(('etc/passwd', sym('/' + o + '/passwd')), ('etc/group', sym('/' + o + '/passwd')))])
        self.layered('passwd-fifo', [base, tar(('etc/passwd', {'type': b'6'}))])
        self.layered('passwd-dir', [base, tar(('etc/passwd', {'type': DIR}, 0o755))])
        self.layered('passwd-zero', [base, tar(('etc/passwd', {'type': b'3', 'devmajor': 1, 'devminor': 5}))])
        self.layered('passwd-big', [base, tar(('etc/passwd', b'x:x:5:5:x:/:/bin/sh\n' * (1 << 20)))])
        self.layered('group-loop', [base, tar(('etc/group', sym('group')))])
        self.layered('links', [base, tar(
            ('abs', sym('/' + o)), ('rel', sym('../../../../../../../../' + o)), ('file', sym('/' + o + '/victim')),
            ('cwd', sym('/proc/1/cwd')), ('root-of', sym('/proc/1/root')), ('self', sym('/proc/self/fd')), ('deep', {'type': DIR}, 0o755),
            ('deep/link', sym('../abs')), ('exe', sym('/proc/self/exe')))])
        self.layered('exe-shell', [base, tar(('bin/sh', sym('/proc/self/exe')))])
        for name, config in CONFIGS.items():
            self.layered(name, [base], config)
        self.layered('deep-config', [base], b'{"os":"linux","x":' + b'[' * 100000 + b']' * 100000 + b'}')
        self.layered('twice', [base], document={'layers': [{'mediaType': fake.LAYER, 'digest': 'sha256:' + '4' * 64, 'size': 1}] * 100000})
        self.manifest('huge', b'{"schemaVersion": 2, "annotations": {"a": "' + b'x' * (24 << 20) + b'"}}')
        # Layers of their own: one that the store has is not fetched.
        for name, change in MANIFESTS.items():
            self.layered(name, [tar(('of', name.encode()))])
            del self.manifests[name + ':latest']
            text = [data for key, (_, data) in self.manifests.items() if key.startswith(name + '@')][0].decode()
            self.manifest(name, change(text, json.loads(text), o).encode())
        for name in REDIRECTS:
            self.layered(name, [base, tar(('f', name.encode()))])
        self.manifest('many', {'schemaVersion': 2, 'mediaType': fake.INDEX, 'manifests': [
            {'mediaType': fake.INDEX, 'digest': 'sha256:' + '%064x' % i, 'size': 3, 'platform': {'os': 'linux', 'architecture': 'amd64'}}
            for i in range(20000)]}, fake.INDEX)


def with_layer(document, **fields):
    return json.dumps({**document, 'layers': [{**document['layers'][0], **fields}]})


MANIFESTS = {
    'double-keys': lambda text, doc, o: '{"layers": [], ' + text[1:],
    'size-lies': lambda text, doc, o: with_layer(doc, size=10),
    'lies-big': lambda text, doc, o: with_layer(doc, size=1 << 62),
    'null-sizes': lambda text, doc, o: with_layer(doc, size=-1),
    'climbing-digest': lambda text, doc, o: text.replace('sha256:', 'sha256:../../../../', 1),
    'file-urls': lambda text, doc, o: with_layer(doc, digest='sha256:' + '5' * 64, urls=['file:///' + o + '/victim'],
                                                 mediaType='application/vnd.docker.image.rootfs.foreign.diff.tar'),
}
REDIRECTS = {'to-file': 'file://@OUTSIDE@/victim', 'to-gopher': 'gopher://127.0.0.1:1/_x', 'to-nowhere': 'http:///'}

ENV = ['PATH=/bin']
CONFIGS = {
    'config-workdir': {'config': {'Env': ENV, 'WorkingDir': '../../../../../../tmp/../..'}},
    'config-workdir-fd': {'config': {'Env': ENV, 'WorkingDir': '/proc/self/fd/7'}},
    'config-user': {'config': {'Env': ENV, 'User': '../../etc/shadow'}},
    'config-env': {'config': {'Env': ENV + ['V%d=%s' % (i, 'x' * 20) for i in range(50000)]}},
    'config-loader': {'config': {'Env': ENV + ['LD_PRELOAD=/pwned.so', 'LD_AUDIT=/pwned.so', 'GCONV_PATH=/', 'ASAN_OPTIONS=log_path=/pwned']}},
    'config-onbuild': {'config': {'Env': ENV, 'OnBuild': ['ONBUILD RUN true']}},
    'config-onbuild-from': {'config': {'Env': ENV, 'OnBuild': ['FROM scratch']}},
    'config-onbuild-many': {'config': {'Env': ENV, 'OnBuild': ['ENV A=$A$A$A$A$A$A$A${A}x'] * 64}},
    'config-onbuild-insecure': {'config': {'Env': ENV, 'OnBuild': ['RUN --security=insecure true']}},
    'config-onbuild-mount': {'config': {'Env': ENV, 'OnBuild': ['RUN --mount=type=bind,from=base,source=/../../../..,target=/x true']}},
    'config-shell': {'config': {'Env': ENV, 'Shell': ['/proc/self/exe', '-c']}},
    'config-escapes': {'config': {'Env': ENV, 'OnBuild': ['RUN echo \x1b]0;owned\x07 && false']}},
}
