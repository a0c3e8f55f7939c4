#!/usr/bin/env python3
"""image_from_tar.py ROOT.tar CONFIG-JSON OUT.tar: a docker archive of one layer, the same bytes each time."""
import hashlib
import io
import json
import sys
import tarfile


def digest(path):
    h = hashlib.sha256()
    with open(path, 'rb') as f:
        for chunk in iter(lambda: f.read(1 << 20), b''):
            h.update(chunk)
    return h.hexdigest()


def main(root, config, out):
    doc = json.dumps({
        'architecture': {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(__import__('platform').machine(), 'amd64'),
        'os': 'linux', 'created': '2023-11-14T22:13:20Z', 'config': json.loads(config),
        'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + digest(root)]},
        'history': [{'created': '2023-11-14T22:13:20Z', 'created_by': 'base of the tests'}]}).encode()
    name = hashlib.sha256(doc).hexdigest() + '.json'
    with tarfile.open(out, 'w') as archive:
        archive.add(root, 'layer.tar')
        for path, data in ((name, doc), ('manifest.json', json.dumps(
                [{'Config': name, 'RepoTags': None, 'Layers': ['layer.tar']}]).encode())):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


if __name__ == '__main__':
    main(*sys.argv[1:])
