#!/usr/bin/env python3
"""Looks into images and compares them, without any code of cbuild.

    image_diff.py diff A B [--ignore GLOB ...]   config and flattened file tree; exit 1 and a line per difference
    image_diff.py list A                         one line per entry
    image_diff.py cat A PATH                     content of one file
    image_diff.py config A                       the image config as JSON

An image is an OCI layout (directory or tar) or a docker archive. Compared are type, mode, owner, size, content, link
target, hard links, extended attributes and device numbers; not modification times, and not the files that builders
leave behind for their own mounts."""
import argparse
import fnmatch
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile

RUNTIME = ['etc/resolv.conf', 'etc/hosts', 'etc/hostname', 'dev', 'dev/*', 'proc', 'proc/*', 'sys', 'sys/*', 'run/.containerenv']
CONFIG = ['User', 'ExposedPorts', 'Env', 'Entrypoint', 'Cmd', 'Volumes', 'WorkingDir', 'Labels', 'StopSignal', 'Shell',
          'OnBuild', 'Healthcheck']


class Image:
    def __init__(self, path):
        self.tar = None if os.path.isdir(path) else tarfile.open(path)
        self.path = path
        names = set(os.listdir(path)) if self.tar is None else set(self.tar.getnames())
        if 'index.json' in names:
            doc = json.loads(self.read('index.json'))['manifests'][0]
            while doc['mediaType'].endswith(('index.v1+json', 'list.v2+json')):
                doc = json.loads(self.blob(doc['digest']))['manifests'][0]
            manifest = json.loads(self.blob(doc['digest']))
            self.config = json.loads(self.blob(manifest['config']['digest']))
            self.layers = ['blobs/' + layer['digest'].replace(':', '/') for layer in manifest['layers'] or []]
        else:
            entry = json.loads(self.read('manifest.json'))[0]
            self.config = json.loads(self.read(entry['Config']))
            self.layers = entry['Layers']

    def read(self, name):
        if self.tar is None:
            with open(os.path.join(self.path, name), 'rb') as f:
                return f.read()
        return self.tar.extractfile(name).read()

    def blob(self, digest):
        data = self.read('blobs/' + digest.replace(':', '/'))
        if 'sha256:' + hashlib.sha256(data).hexdigest() != digest:
            raise SystemExit('%s: blob %s does not have its digest' % (self.path, digest))
        return data

    def layer_bytes(self):
        """The layers, uncompressed."""
        diff_ids = self.config['rootfs'].get('diff_ids') or []
        if len(diff_ids) != len(self.layers):
            raise SystemExit('%s: %d diff IDs, %d layers' % (self.path, len(diff_ids), len(self.layers)))
        for name, diff_id in zip(self.layers, diff_ids):
            data = self.read(name)
            if data[:2] == b'\x1f\x8b':
                data = gzip.decompress(data)
            elif data[:4] == b'\x28\xb5\x2f\xfd':
                data = subprocess.run(['zstd', '-dcq'], input=data, stdout=subprocess.PIPE, check=True).stdout
            if 'sha256:' + hashlib.sha256(data).hexdigest() != diff_id:
                raise SystemExit('%s: layer %s does not have its diff ID %s' % (self.path, name, diff_id))
            yield data

    def layer_tars(self):
        return (tarfile.open(fileobj=io.BytesIO(data)) for data in self.layer_bytes())


def flatten(image):
    return tree_of(image.layer_tars())


def tree_of(layers):
    """{path: [member, bytes or None, inode]} of all layers applied; inode numbers tell hard links."""
    tree, inode = {}, 0
    for layer in layers:
        fresh = set()
        for member in layer:
            path = os.path.normpath(member.name).lstrip('/')
            if path == '.':
                continue
            folder, base = os.path.split(path)
            if base == '.wh..wh..opq':
                for old in [p for p in tree if p.startswith(folder + '/' if folder else '') and p not in fresh]:
                    del tree[old]
                continue
            if base.startswith('.wh.'):
                gone = os.path.join(folder, base[4:])
                for old in [p for p in tree if (p == gone or p.startswith(gone + '/')) and p not in fresh]:
                    del tree[old]
                continue
            if path in tree and not (member.isdir() and tree[path][0].isdir()):
                for old in [p for p in tree if p.startswith(path + '/')]:
                    del tree[old]
            fresh.add(path)
            if member.islnk():
                target = os.path.normpath(member.linkname).lstrip('/')
                tree[path] = tree[target]
                continue
            inode += 1
            tree[path] = [member, layer.extractfile(member).read() if member.isreg() else None, inode]
    return tree


def describe(item):
    member, data, _ = item
    kind = {tarfile.DIRTYPE: 'd', tarfile.SYMTYPE: 'l', tarfile.CHRTYPE: 'c', tarfile.BLKTYPE: 'b', tarfile.FIFOTYPE: 'p'}.get(
        member.type, 'f')
    xattrs = {k[len('SCHILY.xattr.'):]: v for k, v in member.pax_headers.items() if k.startswith('SCHILY.xattr.')}
    return {'type': kind, 'mode': None if kind == 'l' else oct(member.mode & 0o7777), 'owner': (member.uid, member.gid),
            'size': len(data) if data is not None else None, 'content': hashlib.sha256(data).hexdigest() if data is not None else None,
            'target': member.linkname if kind == 'l' else None, 'xattrs': xattrs,
            'device': (member.devmajor, member.devminor) if kind in 'cb' else None}


def hard_links(tree):
    groups = {}
    for path, item in tree.items():
        groups.setdefault(item[2], []).append(path)
    return {tuple(sorted(g)) for g in groups.values() if len(g) > 1}


def config_view(image):
    view = {key: (image.config.get('config') or {}).get(key) or None for key in CONFIG}
    view['Env'] = sorted(view['Env'] or [])
    # buildah signs what it makes.
    view['Labels'] = {k: v for k, v in (view['Labels'] or {}).items() if k != 'io.buildah.version'} or None
    if view['WorkingDir'] == '/':
        view['WorkingDir'] = None
    view['architecture'], view['os'] = image.config.get('architecture'), image.config.get('os')
    return view


def diff(a, b, ignore):
    a, b, lines = Image(a), Image(b), []
    ca, cb = config_view(a), config_view(b)
    lines += ['config %s: %s | %s' % (k, json.dumps(ca[k]), json.dumps(cb[k])) for k in ca if ca[k] != cb[k]]
    ta, tb = flatten(a), flatten(b)
    for path in sorted(set(ta) | set(tb)):
        if any(fnmatch.fnmatch(path, g) for g in RUNTIME + ignore):
            continue
        if path not in ta or path not in tb:
            lines.append('%s: only in the %s' % (path, 'first' if path in ta else 'second'))
            continue
        da, db = describe(ta[path]), describe(tb[path])
        lines += ['%s: %s %s | %s' % (path, k, da[k], db[k]) for k in da if da[k] != db[k]]
    for group in sorted(hard_links(ta) ^ hard_links(tb)):
        if not all(any(fnmatch.fnmatch(p, g) for g in RUNTIME + ignore) for p in group):
            lines.append('hard links in one only: ' + ' '.join(group))
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = parser.add_subparsers(dest='verb', required=True)
    p = sub.add_parser('diff')
    p.add_argument('a')
    p.add_argument('b')
    p.add_argument('--ignore', action='append', default=[])
    for verb in ('list', 'config'):
        sub.add_parser(verb).add_argument('a')
    p = sub.add_parser('cat')
    p.add_argument('a')
    p.add_argument('path')
    o = parser.parse_args()
    if o.verb == 'diff':
        lines = diff(o.a, o.b, o.ignore)
        for line in lines[:50]:
            print(line)
        print('%d differences' % len(lines))
        return 1 if lines else 0
    image = Image(o.a)
    if o.verb == 'config':
        print(json.dumps(image.config))
        return 0
    tree = flatten(image)
    if o.verb == 'cat':
        item = tree.get(o.path.lstrip('/'))
        if item is None or item[1] is None:
            print('no file %s' % o.path, file=sys.stderr)
            return 1
        sys.stdout.buffer.write(item[1])
        return 0
    for path in sorted(tree):
        d = describe(tree[path])
        print(d['type'], d['mode'] or '-', '%d:%d' % d['owner'], '-' if d['size'] is None else d['size'], path,
              *(['->', d['target']] if d['target'] else []))
    return 0


if __name__ == '__main__':
    sys.exit(main())
