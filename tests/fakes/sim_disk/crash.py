"""What a power cut may leave on the media, beyond what was synced.

The model is POSIX at its most pessimistic. Of a file's unsynced bytes there may be: any prefix, byte by byte; the whole
length with the bytes from some place on missing; everything but one block, which shows zeros or stale bytes; any one
write or cut without the others; any mixture of blocks. Of the unsynced changes of names: any subset in which nothing
hangs in the air. All of it independently of each other. Pure.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, islice, product
from random import Random

import attrs

from storage.tree import Folder
from tests.fakes.sim_disk.file import CachedFile, Change, State, apply
from tests.fakes.sim_disk.names import Names, Namespace, Node, Place, Relink

__all__ = ["Crash", "Image", "crash", "draw", "tears", "worst"]

SUBSETS_OF_NAMES_MAX = 8
"""Up to so many unsynced changes of names, every subset of them is tried; beyond, those that keep a beginning, or all
but one, or one alone."""

PREFIXES_MAX = 1_024
"""A write of up to so many bytes is torn at every byte; of a longer one, so many places are drawn."""

MIXTURES = 4
"""How many mixtures of a file's blocks are drawn."""

MIXED_SHARE = 4
"""Of a sample, one in so many has every file torn at random; the others have one torn file each."""

STALE = 0xA5
"""What a block holds that was never this file's."""


@attrs.frozen
class Image:
    """Everything on the media, by path; None is a folder."""

    entries: tuple[tuple[str, bytes | None], ...]

    def __getitem__(self, path: str) -> bytes | None:
        return dict(self.entries)[path]

    def paths(self) -> list[str]:
        return [path for path, _ in self.entries]

    def having(self, path: str, content: bytes) -> "Image":
        """The same with that in the file, which is there."""
        return Image(tuple((other, content if other == path else known) for other, known in self.entries))


@attrs.frozen
class Crash:
    """`images` are distinct; `possible` counts what the model allows, of which they are a sample where it is more."""

    images: tuple[Image, ...]
    possible: int


Tree = Mapping[str, Node]


def crash(namespace: Namespace, block_bytes: int, limit: int, random: Random) -> Crash:
    """The images that a power cut may leave now: all, or `limit` that hold the plain ones first."""
    trees = list(_trees(namespace))
    choices = [_Choices(tree, block_bytes, random) for tree in trees]
    possible = sum(choice.count for choice in choices)
    if possible <= limit:
        found: Iterable[Image] = (image for choice in choices for image in choice.all())
    else:
        plain = [image for choice in choices for image in choice.plain()]
        singles = [image for choice in choices for image in choice.single_tears()]
        random.shuffle(singles)
        mixed = [random.choice(choices).any(random) for _ in range(limit // MIXED_SHARE)]
        found = (*plain, *mixed, *singles)[:limit]
    return Crash(tuple(dict.fromkeys(found)), possible)


def worst(namespace: Namespace) -> Image:
    """Nothing is kept that was not synced."""
    tree = _tree(namespace, [change for change in namespace.relinks if not change.unsynced])
    return _image(tree, {path: _after(file, _durable(file)) for path, file in _files(tree).items()})


def draw(namespace: Namespace, block_bytes: int, random: Random) -> Image:
    """One of the images, without counting them all."""
    kept = [change for change in namespace.relinks if not change.unsynced or random.random() < random.random()]
    tree = _tree(namespace, kept)
    files = _files(tree)
    return _image(tree, {path: random.choice(list(tears(file, block_bytes, random))) for path, file in files.items()})


def _files(tree: Tree) -> dict[str, CachedFile]:
    return {path: node for path, node in tree.items() if isinstance(node, CachedFile)}


def _image(tree: Tree, contents: Mapping[str, bytes]) -> Image:
    return Image(tuple((path, contents.get(path)) for path in tree))


class _Choices:
    """The images that one tree of names can have."""

    def __init__(self, tree: Tree, block_bytes: int, random: Random) -> None:
        self._tree = tree
        self._tears = {path: list(tears(file, block_bytes, random)) for path, file in _files(tree).items()}
        self.count = math.prod(len(found) for found in self._tears.values())

    def all(self) -> Iterator[Image]:
        for contents in product(*self._tears.values()):
            yield _image(self._tree, dict(zip(self._tears, contents, strict=True)))

    def any(self, random: Random) -> Image:
        return _image(self._tree, {path: random.choice(found) for path, found in self._tears.items()})

    def plain(self) -> Iterator[Image]:
        """Nothing is kept that was not synced; everything is."""
        yield _image(self._tree, self._kept(0))
        yield _image(self._tree, self._kept(-1))

    def single_tears(self) -> Iterator[Image]:
        """One file is torn; the others have lost everything, or nothing."""
        for path, found in self._tears.items():
            for others in (self._kept(0), self._kept(-1)) if len(self._tears) > 1 else (self._kept(0),):
                for content in found[1:-1]:
                    yield _image(self._tree, {**others, path: content})

    def _kept(self, place: int) -> dict[str, bytes]:
        return {path: found[place] for path, found in self._tears.items()}


# --- names ---


def _trees(namespace: Namespace) -> Iterator[Tree]:
    seen: set[tuple[tuple[str, int], ...]] = set()
    for kept in _subsets(namespace.relinks):
        tree = _tree(namespace, kept)
        key = tuple((path, id(node)) for path, node in tree.items())
        if key not in seen:
            seen.add(key)
            yield tree


def _subsets(relinks: Sequence[Relink]) -> Iterator[list[Relink]]:
    """Those to keep, with what is durable among them always; nothing first, everything last."""
    loose = [change for change in relinks if change.unsynced]
    for kept in _loose_subsets(loose):
        chosen = {id(change) for change in kept}
        yield [change for change in relinks if not change.unsynced or id(change) in chosen]


def _loose_subsets(loose: Sequence[Relink]) -> Iterator[Sequence[Relink]]:
    count = len(loose)
    if count <= SUBSETS_OF_NAMES_MAX:
        for size in range(count + 1):
            yield from combinations(loose, size)
        return
    yield from (loose[:size] for size in range(count))
    yield from ([change] for change in loose)
    yield from ([*loose[:place], *loose[place + 1 :]] for place in range(count))
    yield loose


def _tree(namespace: Namespace, kept: Sequence[Relink]) -> Tree:
    media = {folder: dict(names) for folder, names in namespace.media.items()}
    for change in kept:
        for folder, *_ in change.ends:
            media.setdefault(folder, {})
        if change.fits(media):
            change.perform(media)
    return dict(sorted(_walk(namespace.root, media, "")))


def _walk(folder: Place, media: Mapping[Place, Names], path: str) -> Iterator[tuple[str, Node]]:
    for name, node in media.get(folder, {}).items():
        below = f"{path}/{name}" if path else name
        yield below, node
        if isinstance(node, Folder):
            yield from _walk(node, media, below)


# --- bytes ---


def tears(file: CachedFile, block_bytes: int, random: Random) -> Iterator[bytes]:
    """The distinct contents that a power cut may leave; what is durable alone first, everything last."""
    whole = _after(file, range(len(file.changes)))
    loose = [place for place, change in enumerate(file.changes) if change.state is not State.DURABLE]
    found = dict.fromkeys([_after(file, _durable(file)), *_torn(file, loose, whole, block_bytes, random)])
    found.pop(whole, None)
    yield from found
    yield whole


def _torn(file: CachedFile, loose: Sequence[int], whole: bytes, block_bytes: int, random: Random) -> Iterator[bytes]:
    for count, place in enumerate(loose):
        yield from _prefixes(file, {*_durable(file), *loose[:count]}, place, random)
        yield _after(file, {*_durable(file), place})
        yield _after(file, {*_durable(file), *loose} - {place})
    if loose:
        blocks = list(_loose_blocks(file, loose, len(whole), block_bytes))
        yield from _holes(file, whole, blocks)
        yield from islice(_mixtures(file, loose, blocks, random), MIXTURES)


def _durable(file: CachedFile) -> list[int]:
    return [place for place, change in enumerate(file.changes) if change.state is State.DURABLE]


def _after(file: CachedFile, kept: Iterable[int]) -> bytes:
    content = bytearray(file.media)
    for place in sorted(kept):
        apply(content, file.changes[place])
    return bytes(content)


def _prefixes(file: CachedFile, before: set[int], place: int, random: Random) -> Iterator[bytes]:
    """The change at `place` up to every byte of it, with the rest missing or zeros."""
    change = file.changes[place]
    yield _after(file, {*before, place})
    data = change.data or b""
    lengths: Sequence[int] = range(len(data))
    for length in lengths if len(data) <= PREFIXES_MAX else random.sample(lengths, PREFIXES_MAX):
        for torn in (data[:length], data[:length].ljust(len(data), b"\0")):
            yield _with(file, before, place, Change(change.at, torn))


def _with(file: CachedFile, before: set[int], place: int, instead: Change) -> bytes:
    content = bytearray(file.media)
    for other in sorted({*before, place}):
        apply(content, instead if other == place else file.changes[other])
    return bytes(content)


def _loose_blocks(file: CachedFile, loose: Sequence[int], size: int, block_bytes: int) -> Iterator[tuple[int, int]]:
    """[start, stop) of every block that an unsynced write touches."""
    touched = set()
    for place in loose:
        change = file.changes[place]
        if change.data:
            touched |= set(range(change.at // block_bytes, (change.at + len(change.data) - 1) // block_bytes + 1))
    for block in sorted(touched):
        start, stop = block * block_bytes, min((block + 1) * block_bytes, size)
        if start < stop:
            yield start, stop


def _holes(file: CachedFile, whole: bytes, blocks: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """Everything but one block, of which the media still hold what is durable, and then zeros or stale bytes."""
    durable = _after(file, _durable(file))
    for start, stop in blocks:
        known = durable[start:stop]
        stale = known + bytes(file.cut_off[start + len(known) : stop])
        for filling in (known.ljust(stop - start, b"\0"), stale.ljust(stop - start, bytes([STALE]))):
            yield whole[:start] + filling + whole[stop:]


def _mixtures(
    file: CachedFile, loose: Sequence[int], blocks: Sequence[tuple[int, int]], random: Random
) -> Iterator[bytes]:
    """Each block as it was at some moment since the last sync, and the size of some moment."""
    moments = [_after(file, {*_durable(file), *loose[:count]}) for count in range(len(loose) + 1)]
    while True:
        size = len(random.choice(moments))
        mixed = bytearray(moments[0][:size].ljust(size, b"\0"))
        for start, stop in blocks:
            mixed[start:stop] = random.choice(moments)[start:stop].ljust(stop - start, b"\0")
        yield bytes(mixed[:size])
