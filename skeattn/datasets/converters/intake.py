"""The last step of every converter: mark missing joints, choose persons, and count those left out."""

import numpy as np

from skeattn.channels import BY_COUNT
from skeattn.datasets.converters.persons import Choice
from skeattn.datasets.missing import mark_missing, present
from skeattn.datasets.writer import PackedWriter
from skeattn.errors import DataError

LEFT_OUT, CROWDED = 'persons left out', 'clips with persons left out'
EVERYBODY = Choice()


def admit(
    writer: PackedWriter,
    name: str,
    keypoint: np.ndarray,
    columns: dict[str, int],
    choice: Choice = EVERYBODY,
    ids: np.ndarray | None = None,
    *,
    marked: bool = False,
) -> None:
    """Add a clip to a set.

    Args:
        writer: an open writer, whose notes count the persons left out.
        name: of the clip.
        keypoint: ``(M, T, V, C)`` as in the source.
        columns: of the clip, its label among them.
        choice: of persons.
        ids: see :meth:`~skeattn.datasets.converters.persons.Choice.apply`.
        marked: missing joints are already marked.

    Raises:
        DataError: no person is present, or the writer refuses the clip.
    """
    channels = writer.channels or BY_COUNT.get(keypoint.shape[-1] if np.ndim(keypoint) == 4 else 0)
    if channels is None or keypoint.ndim != 4 or keypoint.shape[2:] != (writer.layout.num_joints, len(channels)):
        writer.add(name, keypoint, **columns)  # which reports the wrong shape
        return
    keypoint = keypoint if marked else mark_missing(keypoint, channels, writer.layout)
    kept, left_out = choice.apply(keypoint, channels, ids)
    if not present(kept).any():
        raise DataError(f'{name}: no person is present, every value is zero or missing')
    writer.add(name, kept, **columns)
    if left_out:
        for note, count in ((LEFT_OUT, left_out), (CROWDED, 1)):
            writer.notes[note] = writer.notes.get(note, 0) + count
