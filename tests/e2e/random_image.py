#!/usr/bin/env python3
"""Images of random layers for tests of what looks into them.

    random_image.py SEED DIR          an OCI layout in DIR: files, links, devices, attributes, whiteouts, opaque directories,
                                      and names that change their type from layer to layer
    random_image.py compare A B JSON  is the list of files in JSON, from `cbuild diff --format json A B`, what image_diff.py
                                      finds in the layouts A and B?"""
import gzip
import hashlib
import io
import json
import os
import random
import sys
import tarfile

import image_diff

NAMES = ['a', 'b', 'c', 'a-b', 'a.b', 'ä', 'x y']


def random_path(rng, depth):
    return '/'.join(rng.choice(NAMES) for _ in range(rng.randint(1, depth)))


class Layer:
    def __init__(self, rng):
        self.rng, self.raw, self.kinds = rng, io.BytesIO(), {}
        self.tar = tarfile.open(fileobj=self.raw, mode='w', format=tarfile.PAX_FORMAT)

    def add(self, path, kind, data=b'', link='', size=None):
        info = tarfile.TarInfo(path)
        info.type, info.linkname, info.size = kind, link, len(data)
        info.mode = self.rng.choice([0o644, 0o755, 0o4711]) if kind != tarfile.SYMTYPE else 0o777
        info.uid, info.gid, info.mtime = self.rng.choice([0, 1000]), self.rng.choice([0, 60000]), self.rng.randint(0, 10**9)
        if kind == tarfile.CHRTYPE:
            info.devmajor, info.devminor = 1, self.rng.randint(3, 5)
        if kind in (tarfile.REGTYPE, tarfile.DIRTYPE) and self.rng.random() < 0.2:
            info.pax_headers['SCHILY.xattr.user.x'] = self.rng.choice(['1', '22'])
        self.tar.addfile(info, io.BytesIO(data))
        self.kinds[path] = kind

    def parents(self, path):
        """Directories that the path needs; False when one is something else in this layer."""
        parts = path.split('/')
        for i in range(1, len(parts)):
            parent = '/'.join(parts[:i])
            if self.kinds.get(parent, tarfile.DIRTYPE) != tarfile.DIRTYPE:
                return False
            if parent not in self.kinds:
                self.add(parent, tarfile.DIRTYPE)
        return True

    def grow(self, first):
        rng = self.rng
        for _ in range(rng.randint(5, 40)):
            path = random_path(rng, 4)
            if path in self.kinds or not self.parents(path):
                continue
            what = rng.random()
            files = [p for p, k in self.kinds.items() if k == tarfile.REGTYPE]
            if what < 0.45:
                self.add(path, tarfile.REGTYPE, rng.choice([b'', b'one', b'two', b'3' * 5000, rng.randbytes(50)]))
            elif what < 0.65:
                self.add(path, tarfile.DIRTYPE)
            elif what < 0.75:
                self.add(path, tarfile.SYMTYPE, link=rng.choice(['a', '../b', '/nowhere']))
            elif what < 0.85 and files:
                self.add(path, tarfile.LNKTYPE, link=rng.choice(files))
            elif what < 0.9:
                self.add(path, tarfile.CHRTYPE)
            elif not first:
                head, _, tail = path.rpartition('/')
                name = (head + '/' if head else '') + rng.choice(['.wh.' + tail, '.wh..wh..opq'])
                if name not in self.kinds and (not name.endswith('.wh.' + tail) or path not in self.kinds):
                    self.add(name, tarfile.REGTYPE)
                    # What is taken away does not come again in the same layer.
                    self.kinds[path] = self.kinds[name] = b'gone'
        self.tar.close()
        return self.raw.getvalue()


def put(top, data):
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(top, 'blobs', 'sha256', digest), 'wb') as out:
        out.write(data)
    return {'digest': 'sha256:' + digest, 'size': len(data)}


def make(seed, top):
    rng = random.Random(seed)
    os.makedirs(os.path.join(top, 'blobs', 'sha256'))
    tars = [Layer(rng).grow(i == 0) for i in range(rng.randint(1, 5))]
    layers = [dict(put(top, gzip.compress(tar, mtime=0)), mediaType='application/vnd.oci.image.layer.v1.tar+gzip') for tar in tars]
    config = {'architecture': 'amd64', 'os': 'linux', 'config': {}, 'history': [{'created_by': 'layer %d' % i} for i in range(len(tars))],
              'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + hashlib.sha256(tar).hexdigest() for tar in tars]}}
    manifest = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
                'config': dict(put(top, json.dumps(config).encode()), mediaType='application/vnd.oci.image.config.v1+json'), 'layers': layers}
    index = {'schemaVersion': 2, 'manifests': [dict(put(top, json.dumps(manifest).encode()), mediaType=manifest['mediaType'])]}
    for name, doc in (('index.json', index), ('oci-layout', {'imageLayoutVersion': '1.0.0'})):
        with open(os.path.join(top, name), 'w') as out:
            json.dump(doc, out)


def expected(a, b):
    """The differences as image_diff.py sees them: path -> added, removed or changed."""
    ta, tb = image_diff.flatten(image_diff.Image(a)), image_diff.flatten(image_diff.Image(b))
    found = {p: 'removed' for p in set(ta) - set(tb)}
    found.update({p: 'added' for p in set(tb) - set(ta)})
    groups = [{p: sorted(g)[0] for g in image_diff.hard_links(t) for p in g} for t in (ta, tb)]
    for path in set(ta) & set(tb):
        if image_diff.describe(ta[path]) != image_diff.describe(tb[path]) or groups[0].get(path) != groups[1].get(path):
            found[path] = 'changed'
    return found


def compare(a, b, file):
    want = expected(a, b)
    with open(file) as doc:
        got = {entry['path'].lstrip('/'): entry['change'] for entry in json.load(doc)['files']}
    for path in sorted(set(want) | set(got)):
        if want.get(path) != got.get(path):
            print('%s: %s, not %s' % (path, got.get(path), want.get(path)))
    print('%d differences' % len(want))
    return want != got


if __name__ == '__main__':
    if sys.argv[1] == 'compare':
        sys.exit(compare(*sys.argv[2:]))
    make(int(sys.argv[1]), sys.argv[2])
