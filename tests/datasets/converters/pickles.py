"""Small annotation pickles, and their comparison."""

import pickle

import numpy as np

V = 17


def annotation(i, persons=1, frames=6, coordinates=2, dtype=np.float16, **changes):
    """A detected clip in pixels with scores; ``key=None`` drops a part."""
    rng = np.random.default_rng(i)
    given = {
        'frame_dir': f'clip{i}',
        'label': i % 3,
        'img_shape': (1080, 1920),
        'original_shape': (1080, 1920),
        'total_frames': frames,
        'keypoint': (rng.random((persons, frames, V, coordinates)) * 1000).astype(dtype),
        'keypoint_score': rng.random((persons, frames, V)).astype(dtype),
        **changes,
    }
    return {key: value for key, value in given.items() if value is not None}


def content(clips=8, **changes):
    names = [f'clip{i}' for i in range(clips)]
    return {
        'split': {'xsub_train': names[::2], 'xsub_val': names[1::2], 'xview_train': names[:3], 'xview_val': names[5:]},
        'annotations': [annotation(i, persons=1 + i % 2, frames=5 + i, **changes) for i in range(clips)],
    }


def saved(folder, value, name='data.pkl', protocol=4):
    path = folder / name
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def assert_equal(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_equal(a, b)
    elif isinstance(one, np.ndarray):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    else:
        assert one == other
