import numpy as np
import pytest

from w3action.clip_format import ClipFormat
from w3action.evaluate.protocols import PROTOCOLS, look_up_protocol


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_makes_as_many_clips_as_it_says(name):
    protocol = PROTOCOLS[name]
    indices = protocol.sample(100, num_segments=8)
    assert indices.shape == (protocol.num_clips, 8)
    assert indices.min() >= 0
    assert indices.max() < 100


def test_views_of_the_papers_protocols():
    clip_format = ClipFormat(num_frames=8, size=224, resize=256)
    views = {name: protocol.num_views(clip_format) for name, protocol in PROTOCOLS.items()}
    assert views == {"center": 1, "twice": 2, "full": 6, "ten_crop": 20, "dense": 10}
    assert PROTOCOLS["full"].view_size(clip_format) == 256
    assert PROTOCOLS["center"].view_size(clip_format) == 224


def test_twice_takes_the_middles_then_the_starts():
    indices = PROTOCOLS["twice"].sample(16, num_segments=4)
    assert np.array_equal(indices, [[2, 6, 10, 14], [0, 4, 8, 12]])


def test_an_unknown_protocol_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown protocol 'centre'.*center, twice"):
        look_up_protocol("centre")
