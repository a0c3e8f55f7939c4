"""What is compared of an image, as lines of text: its config, its history, and what its layers changed on top of a base.

A base's own files are left out, so the lines say the same whatever busybox the base was made of."""
import hashlib
import io
import json
import os
import re
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
from image_diff import CONFIG, RUNTIME, Image, describe, flatten, hard_links, tree_of  # noqa: E402

BLOCK = 512
EMPTY_DIRECTORIES = ('dev', 'proc', 'sys')  # mount points of RUN


def config_lines(image):
    config = image.config.get('config') or {}
    for key in CONFIG:
        value = config.get(key)
        if key == 'Labels':
            value = {k: v for k, v in (value or {}).items() if k != 'io.buildah.version'}
        if value:
            yield 'config %s %s' % (key, json.dumps(value, sort_keys=True))
    for key in ('author', 'os', 'architecture'):
        if image.config.get(key) and (key == 'author' or image.config[key] not in ('linux', 'amd64', 'arm64')):
            yield 'config %s %s' % (key, json.dumps(image.config[key]))


def history_lines(image, skip):
    for item in (image.config.get('history') or [])[skip:]:
        yield 'history %s%s' % (json.dumps(item.get('created_by', '')), ' (no layer)' if item.get('empty_layer') else '')


def content(data):
    if len(data) <= 200 and re.fullmatch(rb'[\t\n -~]*', data):
        return json.dumps(data.decode())
    return '%d bytes %s' % (len(data), hashlib.sha256(data).hexdigest()[:16])


def entry_line(path, item):
    d = describe(item)
    words = [d['type'], d['mode'][2:].rjust(4, '0') if d['mode'] else '-', '%d:%d' % d['owner'], json.dumps(path, ensure_ascii=False)[1:-1]]
    if d['type'] == 'f':
        words.append(content(item[1]))
    elif d['type'] == 'l':
        words += ['->', d['target']]
    elif d['device']:
        words.append('%d:%d' % d['device'])
    words += ['%s=%s' % (k, v.encode('utf-8', 'surrogateescape').hex()) for k, v in sorted(d['xattrs'].items())]
    return ' '.join(words)


def tree_lines(tree, base):
    """Entries that are not in the base just so, what of the base is gone, and names of one file."""
    noise = set()
    for path in sorted(tree):
        bare = path in EMPTY_DIRECTORIES or path in RUNTIME or path.startswith(tuple(d + '/' for d in EMPTY_DIRECTORIES))
        if bare:
            noise.add(path)
            continue
        line = entry_line(path, tree[path])
        if path not in base or entry_line(path, base[path]) != line:
            yield line
    for path in sorted(set(base) - set(tree)):
        yield 'gone ' + path
    for group in sorted(hard_links(tree) - hard_links(base)):
        yield 'one file: ' + ' '.join(group)


def number(field):
    """A number of a tar header, in octal or, when it is large or negative, in binary."""
    return int(field.rstrip(b'\0 ') or b'0', 8) if not field[0] & 0x80 else int.from_bytes(field, 'big', signed=True)


def headers(data):
    """Where the headers of a tar are."""
    at = 0
    while at + BLOCK <= len(data) and data[at] != 0:
        yield at
        at += BLOCK + (number(data[at + 124:at + 136]) % 2**88 + BLOCK - 1) // BLOCK * BLOCK


def sign(data, at):
    """Mends the checksum of a header."""
    data[at + 148:at + 156] = b'        '
    data[at + 148:at + 156] = b'%06o\0 ' % sum(data[at:at + BLOCK])


def diff_id(data, begin):
    """The diff ID of the layer as it is, when no time in it is one of the build; else of one with 0 in their place."""
    out, fresh = bytearray(data), False
    for at in headers(out):
        if number(out[at + 136:at + 148]) >= begin:
            fresh = True
            out[at + 136:at + 148] = b'%011o\0' % 0
            sign(out, at)
    return 'diff id %s%s' % (hashlib.sha256(out).hexdigest(), ' (times of the build: 0)' if fresh else '')


def settled(data, begin, folders):
    """The layer without what no two builds share, and whether there was any: times since @begin, of folders only or of all
    but folders (which are 0 then); and without what dockerd's own writer of tars adds to those of BuildKit: the type of the
    file in the mode, and names of owners."""
    out, fresh = bytearray(data), False
    for at in headers(out):
        folder = out[at + 156:at + 157] == b'5'
        recent = number(out[at + 136:at + 148]) >= begin
        fresh = fresh or (recent and (folders or not folder))
        if recent or (folder and not folders):
            out[at + 136:at + 148] = b'%011o\0' % 0
        out[at + 100:at + 108] = b'%07o\0' % (number(out[at + 100:at + 108]) & 0o7777)
        out[at + 265:at + 329] = bytes(64)
        sign(out, at)
    return hashlib.sha256(out).hexdigest(), ' (times of the build: 0)' if fresh else ''


def layer_lines(image, skip, begin, folders):
    """Digests of each layer: of its bytes, and if @folders, settled with the times of folders, and without."""
    for at, data in enumerate(image.layer_bytes()):
        if at >= skip:
            yield diff_id(data, begin)
        if at >= skip and folders:
            yield 'layer %s%s' % settled(data, begin, True)
            yield 'layer, folders of no time: %s%s' % settled(data, begin, False)


class Base:
    """The root file system below the images: a tar whose diff ID tells whether an image starts with it."""

    def __init__(self, tar):
        with open(tar, 'rb') as f:
            data = f.read()
        self.diff_id = 'sha256:' + hashlib.sha256(data).hexdigest()
        self.tree = tree_of([tarfile.open(fileobj=io.BytesIO(data))])

    def lines(self, path, begin, layers):
        """All lines of the image at @path, which was built since @begin, in Unix time; @layers: settled digests too."""
        image = Image(path)
        mine = (image.config['rootfs'].get('diff_ids') or [''])[0] == self.diff_id
        lines = list(config_lines(image)) + list(history_lines(image, mine))
        lines += tree_lines(flatten(image), self.tree if mine else {})
        return lines + list(layer_lines(image, mine, begin, layers))
