"""Predictions for live frames: a window that slides over them."""

from collections import deque
from collections.abc import Callable
from numbers import Integral
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from skeattn.datasets.missing import anybody
from skeattn.errors import ConfigError, DataError, NobodyError, SkeAttnError

T = TypeVar('T')


class SlidingWindow(Generic[T]):
    """Evaluates the last ``length`` frames, every ``stride`` frames.

    The result equals that of the same function for the same window as a clip:

    >>> live = SlidingWindow(encoder.embed, length=16, stride=4)
    >>> for frame in clips[0][:16]:
    ...     features = live.push(frame)
    >>> bool((features == encoder.embed(clips[0][:16])).all())
    True

    Args:
        evaluate: a function of one clip ``(M, T, V, C)``: ``encoder.embed``, ``encoder.classify`` or
            ``classifier.predict``, with further arguments by :func:`functools.partial`.
        length: frames of a window. It is resampled like every clip; choose the duration of an action, at the frame rate
            of the training data.
        stride: frames between two evaluations.

    Attributes:
        newest: the newest result; None before the first window is complete, and while nobody is in the window.
        frames: number of frames received.
        at: number of frames received when ``newest`` was computed; 0 before.

    Raises:
        ConfigError: ``length`` or ``stride`` is below 1.
    """

    def __init__(self, evaluate: Callable[[np.ndarray], T], length: int, stride: int = 1) -> None:
        if not all(isinstance(number, Integral) and number >= 1 for number in (length, stride)):
            raise ConfigError(
                f'SlidingWindow: length={length!r} and stride={stride!r} must be numbers of frames, at least 1'
            )
        self.evaluate, self.length, self.stride = evaluate, int(length), int(stride)
        self._window: deque[np.ndarray] = deque(maxlen=self.length)
        self.newest: T | None = None
        self.frames = self.at = 0

    def push(self, frame: Any) -> T | None:
        """Take the next frame; returns :attr:`newest`.

        Args:
            frame: ``(V, C)``, or ``(M, V, C)`` for several persons, whose number may change; a person keeps its place.
                In a frame without anybody all values are zero or marked as undetected, or M is 0.

        Raises:
            DataError: the frame has a different shape than those before it or an infinite value, or the window is no
                clip of the encoder's layout.
        """
        self._window.append(self._checked(frame))
        self.frames += 1
        full = self.frames - self.length
        if full >= 0 and full % self.stride == 0:
            self.newest, self.at = self._evaluated(self.window()), self.frames
        return self.newest

    def window(self) -> np.ndarray:
        """The last frames as a clip ``(M, T, V, C)`` float32, T at most ``length``."""
        M = max(map(len, self._window), default=0)
        frames = [np.pad(frame, ((0, M - len(frame)), (0, 0), (0, 0))) for frame in self._window]
        return np.stack(frames, axis=1) if frames else np.zeros((0, 0, 0, 0), np.float32)

    def clear(self) -> None:
        """Forget all frames, as after a cut."""
        self._window.clear()
        self.newest, self.frames, self.at = None, 0, 0

    def _evaluated(self, window: np.ndarray) -> T | None:
        if not anybody(window):
            return None
        try:
            return self.evaluate(window)
        except NobodyError:  # marked in another way, such as -1
            return None
        except SkeAttnError as error:
            first = self.frames - len(self._window)
            raise type(error)(f'frames {first} to {self.frames - 1} of the live frames: {error}') from error

    def _checked(self, frame: Any) -> np.ndarray:
        frame = frame.detach().cpu().float().numpy() if isinstance(frame, torch.Tensor) else frame
        try:
            with np.errstate(over='ignore'):
                array = np.array(frame, dtype=np.float32)  # a copy: cameras fill one buffer again and again
        except (TypeError, ValueError) as error:
            raise DataError(f'frame {self.frames} of the live frames is no array of numbers: {error}') from error
        array = array[None] if array.ndim == 2 else array
        shape = self._window[0].shape[1:] if self._window else array.shape[1:]
        if array.ndim != 3 or array.shape[1:] != shape or 0 in shape:
            before = f'; the frames before it have {shape[0]} joints of {shape[1]} values' if self._window else ''
            raise DataError(
                f'frame {self.frames} of the live frames has shape {np.shape(frame)}, not (V, C) or (M, V, C){before}'
            )
        if np.isinf(array).any():
            raise DataError(f'frame {self.frames} of the live frames has an infinite value; give undetected joints NaN')
        return array
