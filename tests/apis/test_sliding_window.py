"""A sliding window equals the same function on the same windows."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.apis import SlidingWindow, TrainedEncoder
from skeattn.errors import ConfigError, DataError


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 25))
def test_every_stride_frames_the_last_length_frames_are_evaluated(length: int, stride: int, frames: int) -> None:
    live = SlidingWindow(lambda window: window[0, :, 0, 0].tolist(), length, stride)
    expected, at = None, 0
    for t in range(frames):
        if t + 1 >= length and (t + 1 - length) % stride == 0:
            expected, at = [float(i + 1) for i in range(t + 1 - length, t + 1)], t + 1
        assert live.push(np.full((2, 3), t + 1)) == live.newest == expected
        assert (live.frames, live.at) == (t + 1, at)


@pytest.mark.parametrize('what', ['embed', 'classify', 'few_shot'])
def test_results_equal_those_of_the_window_as_a_clip(encoder, recognizer, clips, labels, what) -> None:
    fitted = encoder.fit_few_shot(clips, labels)
    functions = {
        'embed': partial(encoder.embed, readout='joints'),
        'classify': lambda clip: recognizer.classify(clip).probabilities,
        'few_shot': lambda clip: fitted.predict(clip).probabilities,
    }
    function, frames = functions[what], np.concatenate(clips[:2])
    live, compared = SlidingWindow(function, 16, 5), 0
    for t, frame in enumerate(frames, 1):
        result = live.push(torch.from_numpy(frame) if t % 2 else frame)
        if live.at == t:
            np.testing.assert_array_equal(result, function(frames[t - 16 : t]))
            compared += 1
    assert compared == 1 + (len(frames) - 16) // 5


@pytest.mark.parametrize('mark', [0.0, -1.0, np.nan])
def test_nobody_is_no_result_however_absence_is_marked(encoder, mark) -> None:
    live = SlidingWindow(encoder.embed, 16)
    assert [live.push(np.full((25, 3), mark, np.float32)) for _ in range(18)] == [None] * 18 and live.at == 18


@pytest.mark.parametrize('buffer', [np.zeros((2, 3), np.float32), torch.zeros(2, 3)], ids=['array', 'tensor'])
def test_a_buffer_that_is_filled_again_leaves_earlier_frames_alone(buffer) -> None:
    live = SlidingWindow(lambda window: window, length=3)
    for value in (1.0, 2.0, 3.0):
        buffer[:] = value
        live.push(buffer)
    assert live.window()[0, :, 0, 0].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize('settings', [(0, 1), (16, 0), (16.0, 1), (16, 1.5)])
def test_lengths_are_whole_numbers(settings) -> None:
    with pytest.raises(ConfigError, match='numbers of frames, at least 1'):
        SlidingWindow(len, *settings)
    assert SlidingWindow(len, np.int64(16), np.int32(2)).length == 16


def test_the_number_of_persons_may_change(clips) -> None:
    live = SlidingWindow(lambda window: window, 4)
    frames = [clips[0][:1], np.stack([clips[0][1], clips[1][1]]), np.zeros((0, 25, 3)), clips[0][3:4]]
    for frame in frames:
        window = live.push(frame)
    assert window.shape == (2, 4, 25, 3)
    np.testing.assert_array_equal(window[0, [0, 1, 3]], clips[0][[0, 1, 3]])
    np.testing.assert_array_equal(window[1, 1], clips[1][1])
    assert not window[:, 2].any() and not window[1, [0, 2, 3]].any()


def test_nobody_in_the_window_is_no_result(encoder: TrainedEncoder, clips) -> None:
    live = SlidingWindow(encoder.embed, 3)
    for frame in clips[0][:3]:
        assert live.push(frame) is None or live.at == 3
    assert live.newest is not None
    for _ in range(3):
        live.push(np.zeros((25, 3)))
    assert live.newest is None and live.at == 6
    live.clear()
    assert (live.frames, live.at, live.window().size) == (0, 0, 0)


@pytest.mark.parametrize(
    ('frame', 'message'),
    [
        (
            np.zeros((24, 3)),
            r'frame 1 of the live frames has shape \(24, 3\).* before it have 25 joints of 3',
        ),
        (np.zeros(3), 'frame 1 of the live frames has shape'),
        (np.full((25, 3), np.inf), 'frame 1 of the live frames has an infinite value'),
        ('frame', 'frame 1 of the live frames is no array of numbers'),
    ],
)
def test_a_frame_that_does_not_fit_is_named_at_once(frame, message) -> None:
    live = SlidingWindow(lambda window: window, 10)
    live.push(np.ones((25, 3)))
    with pytest.raises(DataError, match=message):
        live.push(frame)
    assert live.frames == 1


def test_a_window_that_is_no_clip_names_its_frames(encoder: TrainedEncoder) -> None:
    live = SlidingWindow(encoder.embed, 2)
    live.push(np.ones((17, 3)))
    with pytest.raises(DataError, match=r'frames 0 to 1 of the live frames: clip 0 has shape \(1, 2, 17, 3\)'):
        live.push(np.ones((17, 3)))


@pytest.mark.parametrize('sizes', [(0, 1), (3, 0)])
def test_lengths_below_one_are_refused(sizes) -> None:
    with pytest.raises(ConfigError, match='numbers of frames, at least 1'):
        SlidingWindow(len, *sizes)
