"""Shards: real tar files, the same bytes each time, offsets that point at pictures."""

import tarfile

from hypothesis import given
from hypothesis import strategies as st

from chimp_assets.archive.storage.shards import ShardWriter
from chimp_assets.archive.storage.store import BlobStore

pictures = st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=30)


@given(pictures=pictures, shard_bytes=st.integers(1, 20_000))
def test_offsets_point_at_the_pictures_and_tar_reads_the_same(pictures, shard_bytes):
    """Padding wrong by one block would show the tail of another picture."""
    store = BlobStore.open("memory://shards")
    with ShardWriter(store, "cam-0001", 7, shard_bytes) as writer:
        places = [writer.add(n, jpeg) for n, jpeg in enumerate(pictures)]
        shards = writer.close()
    assert [s.part for s in shards] == list(range(len(shards)))
    members = {}
    for shard in shards:
        content = store.get(shard.uri)
        assert len(content) == shard.bytes
        # Closed at the first picture that reaches the size: header, picture, padding, end.
        assert shard.bytes <= shard_bytes + 512 + 3072 + 1024
        with store.open_reader(shard.uri) as file, tarfile.open(fileobj=file) as tar:
            for member in tar:
                members[member.name] = tar.extractfile(member).read()
    assert members == {f"{n:08d}.jpg": jpeg for n, jpeg in enumerate(pictures)}
    for place, jpeg in zip(places, pictures, strict=True):
        assert store.get_range(shards[place.part].uri, place.byte_offset, place.byte_length) == jpeg


def test_the_same_pictures_give_the_same_names_and_others_do_not():
    """A clock or a process id in the bytes would leave orphans at every repeated run."""
    store = BlobStore.open("memory://shards")

    def written(jpegs):
        with ShardWriter(store, "cam-0001", 7, 10**6) as writer:
            for n, jpeg in enumerate(jpegs):
                writer.add(n, jpeg)
            return [s.uri for s in writer.close()]

    once = written([b"a" * 700, b"b"])
    assert written([b"a" * 700, b"b"]) == once
    assert once[0].startswith("shards/cam-0001/00000007-0000-")
    assert written([b"a" * 700, b"c"]) != once
    assert written([]) == []
