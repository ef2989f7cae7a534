import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from skeattn.augment.functional import derive_stream
from skeattn.datasets import Pipeline
from skeattn.errors import ConfigError, DataError
from skeattn.models.preprocessor import SkeletonPreprocessor
from skeattn.skeletons import get_layout
from skeattn.visualization import Panel, clip_player, in_stream, pipeline_steps, play_clip, view_steps
from skeattn.visualization.clip_player import frame_of, project, upwards
from tests.datasets.raw import clip
from tests.visualization.pages import data_of

LAYOUT = get_layout('kinect20')
PIPELINE = {
    'centre': {'type': 'Centre', 'joint': 'hip'},
    'resample': {'type': 'Resample', 'num_frames': 8},
    'pack': {'type': 'PackClip', 'num_persons': 2},
}
VIEWS = {
    'query': {'crop': {'type': 'Crop', 'ratio': 2}, 'shear': {'type': 'Shear'}},
    'key': {'like': 'query', 'crop': None},
    'mix': {'source': 'query', 'skelemix': {'type': 'SkeleMix', 'parts': (1, 2), 'units': (1, 1)}},
    'strong': {'like': 'query', 'mask': {'type': 'RandomJointMask', 'ratio': 0.3, 'on': 'stream'}},
    'plain': {},
}


def panels(persons: int = 2, channels: tuple[str, ...] = ('x', 'y', 'z'), stream: str = 'joint') -> list[Panel]:
    keypoint = clip(persons=persons, frames=5)[..., : len(channels)]
    stored = {'keypoint': keypoint, 'layout': LAYOUT, 'channels': channels, 'name': 'c', 'total_frames': 5}
    return [in_stream(panel, stream, LAYOUT) for panel in pipeline_steps(stored, Pipeline(PIPELINE))]


def test_each_step_of_the_pipeline_is_seen_after_it() -> None:
    raw, centre, resample, pack = panels()
    assert [panel.step for panel in (raw, centre, resample, pack)] == ['raw', 'centre', 'resample', 'pack']
    np.testing.assert_array_equal(raw.keypoint, clip(persons=2, frames=5))
    np.testing.assert_allclose(centre.keypoint, raw.keypoint - raw.keypoint[:, :, LAYOUT.hip, None])
    assert resample.keypoint.shape == pack.keypoint.shape == (2, 8, 20, 3)
    np.testing.assert_array_equal(pack.keypoint, resample.keypoint)


@pytest.mark.parametrize('stream', ['motion', 'bone'])
def test_a_step_in_another_stream_is_what_the_stream_makes_of_it(stream: str) -> None:
    for joint, other in zip(panels(), panels(stream=stream), strict=True):
        x = torch.tensor(joint.keypoint).permute(3, 1, 2, 0)[None]
        expected = derive_stream(x, stream, LAYOUT)[0].permute(3, 1, 2, 0).numpy()
        np.testing.assert_array_equal(other.keypoint, expected)
        assert (other.step, other.stream) == (joint.step, stream)


@pytest.mark.parametrize('stream', ['joint', 'bone'])
def test_each_operation_of_the_views_is_seen_as_training_draws_it(stream: str) -> None:
    clips = torch.randn(4, 3, 8, 20, 2, generator=torch.Generator().manual_seed(0))
    steps = view_steps(SkeletonPreprocessor('kinect20', stream, VIEWS), clips, list(VIEWS), seed=3, iteration=9)
    names = ['query.crop', 'query.shear', 'key.shear', 'mix.skelemix']
    assert [panel.step for panel in steps] == [*names, 'strong.crop', 'strong.shear', 'strong.mask', 'plain']
    trained = SkeletonPreprocessor('kinect20', stream, VIEWS)
    trained.begin_iteration(3, 9)
    drawn = trained({'inputs': clips}, training=True)['inputs']
    last = {panel.step.split('.')[0]: panel for panel in steps}
    for view in VIEWS:
        np.testing.assert_array_equal(last[view].keypoint, drawn[view][0].permute(0, 2, 3, 1).numpy())
        assert last[view].stream == stream
    assert last['plain'].note == 'same as clip'
    some = view_steps(SkeletonPreprocessor('kinect20', stream, VIEWS), clips, ['mix'], seed=3, iteration=9)
    assert [panel.step for panel in some] == [*(f'query.{op}' for op in VIEWS['query']), 'mix.skelemix']
    np.testing.assert_array_equal(some[-1].keypoint, last['mix'].keypoint)


def test_an_operation_that_was_not_drawn_says_so() -> None:
    views = {'query': {'flip': {'type': 'TemporalFlip', 'probability': 0.0}, 'shear': {'type': 'Shear'}}}
    flip, shear = view_steps(SkeletonPreprocessor('kinect20', 'joint', views), torch.randn(2, 3, 8, 20, 1), ['query'])
    assert (flip.note, shear.note) == ('changes nothing in this draw', '')


def test_scores_are_not_drawn() -> None:
    views = {'query': {'shear': {'type': 'Shear'}, 'crop': {'type': 'Crop', 'ratio': 2}}}
    preprocessor = SkeletonPreprocessor('kinect20', 'bone', views, channels=('x', 'y', 'score'))
    steps = view_steps(preprocessor, torch.randn(2, 3, 8, 20, 1), ['query'])
    assert [panel.keypoint.shape for panel in steps] == [(1, 8, 20, 2)] * 2
    assert [panel.keypoint.shape[-1] for panel in panels(channels=('x', 'y', 'score'))] == [2] * 4


@pytest.mark.parametrize('channels', [('x', 'y'), ('x', 'y', 'z')])
@pytest.mark.parametrize('persons', [1, 2])
def test_the_page_holds_every_step_with_its_data_and_needs_nothing_else(tmp_path, channels, persons) -> None:
    shown = [*panels(persons, channels), *panels(persons, channels, 'motion')]
    path = play_clip(shown, LAYOUT, tmp_path / 'new' / 'clip.html', 'c0: </script> & wave', fps=20)
    data = data_of(path)
    assert data['title'] == 'c0: </script> & wave' and data['fps'] == 20
    assert [(p['step'], p['stream']) for p in data['panels']] == [(p.step, p.stream) for p in shown]
    assert data['bones'] == [list(bone) for bone in LAYOUT.bones]
    for stored, panel in zip(data['panels'], shown, strict=True):
        values = np.frombuffer(base64.b64decode(stored['keypoint']), '<f4').reshape(stored['shape'])
        np.testing.assert_array_equal(values, panel.keypoint)
    text = path.read_text()
    assert not re.search(r'(src|href)\s*=|https?:|@import|url\(', text)
    assert '<title>c0: &lt;/script&gt; &amp; wave</title>' in text
    assert list(path.parent.iterdir()) == [path]


STUB = """
const drawn = {lines: 0, dots: 0};
const context = {clearRect() {}, beginPath() {}, stroke() {}, fill() {}, moveTo() {},
  lineTo(x, y) { drawn.lines += Number.isFinite(x + y); }, arc(x, y) { drawn.dots += Number.isFinite(x + y); }};
const node = () => ({appendChild: child => child, addEventListener() {}, getContext: () => context, value: 0.5});
const nodes = {data: {textContent: DATA}};
const document = {getElementById: id => nodes[id] ??= node(), createElement: node, addEventListener() {}};
const requestAnimationFrame = () => {};
"""


@pytest.mark.skipif(not shutil.which('node'), reason='needs node to run the script of the page')
def test_the_script_of_the_page_draws_every_joint_of_those_who_are_there(tmp_path) -> None:
    shown = panels()
    for panel in shown:
        panel.keypoint = panel.keypoint.copy()
        panel.keypoint[1] = 0
    path = play_clip(shown, LAYOUT, tmp_path / 'clip.html', 'c')
    script = path.read_text().split('<script>')[1].split('</script>')[0]
    code = (
        STUB.replace('DATA', json.dumps(json.dumps(data_of(path)))) + script + '\nconsole.log(JSON.stringify(drawn));'
    )
    done = subprocess.run(['node', '-e', code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {'lines': 19 * len(shown), 'dots': 20 * len(shown)}


@pytest.mark.parametrize(('frames', 'expected'), [(None, 8), (3, 3)])
def test_a_gif_has_a_picture_per_frame_of_the_longest_panel_or_as_many_as_requested(tmp_path, frames, expected) -> None:
    path = play_clip(panels()[1:3], LAYOUT, tmp_path / 'clip.gif', 'c', fps=20, frames=frames)
    with Image.open(path) as gif:
        assert gif.n_frames == expected and gif.info['loop'] == 0
        assert gif.info['duration'] == pytest.approx(1000 * 8 / 20 / expected, abs=10)
        gif.seek(0)
        first = np.asarray(gif.convert('RGB'), dtype=int)
        gif.seek(expected - 1)
        assert np.abs(np.asarray(gif.convert('RGB'), dtype=int) - first).sum() > 0
    assert list(tmp_path.iterdir()) == [path]


def test_the_other_suffixes_and_clips_of_nobody_are_refused(tmp_path, monkeypatch) -> None:
    with pytest.raises(ConfigError, match=r"clip\.avi: unknown suffix '\.avi'; choose from \.html, \.gif, \.mp4"):
        play_clip(panels(), LAYOUT, tmp_path / 'clip.avi')
    nobody = [Panel('raw', 'joint', np.zeros((1, 4, 20, 3), np.float32))]
    with pytest.raises(DataError, match='c: no person is present'):
        play_clip(nobody, LAYOUT, tmp_path / 'clip.html', 'c')
    monkeypatch.setattr(clip_player.FFMpegWriter, 'isAvailable', classmethod(lambda cls: False))
    with pytest.raises(ConfigError, match='an MP4 needs the program ffmpeg on PATH'):
        play_clip(panels(), LAYOUT, tmp_path / 'clip.mp4')
    assert list(tmp_path.iterdir()) == []


def test_an_mp4_gets_every_picture_and_its_name_only_when_complete(tmp_path, monkeypatch) -> None:
    grabbed = []

    class Writer:
        isAvailable = staticmethod(lambda: True)

        def __init__(self, fps) -> None:
            self.fps = fps

        def setup(self, figure, outfile) -> None:
            self.path = Path(outfile)

        def grab_frame(self) -> None:
            grabbed.append(self.fps)

        def finish(self) -> None:
            assert not (tmp_path / 'clip.mp4').exists()
            self.path.write_bytes(b'film')

    monkeypatch.setattr(clip_player, 'FFMpegWriter', Writer)
    path = play_clip(panels()[:2], LAYOUT, tmp_path / 'clip.mp4', 'c', fps=10)
    assert path.read_bytes() == b'film' and grabbed == [10.0] * 5
    assert list(tmp_path.iterdir()) == [path]


def test_up_is_where_the_spines_point() -> None:
    standing = np.zeros((1, 2, 20, 3), np.float32)
    standing[..., LAYOUT.spine[1], 1] = 0.5
    assert upwards(Panel('raw', 'joint', standing), LAYOUT) == 1
    assert upwards(Panel('raw', 'joint', -standing[..., :2]), LAYOUT) == -1
    np.testing.assert_allclose(project(np.array([2.0, 3.0]), -1), [2, -3])
    across, up = project(np.array([1.0, 3.0, 0.0]), 1)
    assert across < 0 and up == 3  # the right hand of who faces us is on our left


def test_a_panel_shows_all_frames_and_vectors_from_their_origin() -> None:
    points = np.zeros((1, 2, 20, 3), np.float32)
    points[0, 0, 0], points[0, 1, 0] = [4, 1, 0], [6, 1, 0]
    points[0, :, 1:] = [5, 1, 0]
    centre, reach = frame_of(Panel('raw', 'joint', points))
    np.testing.assert_allclose(centre, [5, 1, 0])
    assert reach == pytest.approx(1)
    centre, reach = frame_of(Panel('raw', 'bone', points))
    np.testing.assert_allclose(centre, 0)
    assert reach == pytest.approx(6)


def with_a_loss(fill: bool = False) -> list[Panel]:
    """Panels of one person whose left hand is missing in all frames but one; half of the frames are there."""
    keypoint = clip(frames=5)
    keypoint[0, 1:, 7] = np.nan
    steps = {'fill': {'type': 'FillGaps'} if fill else None, **PIPELINE}
    stored = {'keypoint': keypoint, 'layout': LAYOUT, 'channels': ('x', 'y', 'z'), 'name': 'c', 'total_frames': 5}
    return pipeline_steps(stored, Pipeline(steps))


def test_panels_tell_missing_joints_and_their_share() -> None:
    """Kind F1: a joint that was not detected was drawn in the corner of the image."""
    raw, *_, pack = with_a_loss()
    assert raw.note == '4 % of the joints missing' and pack.note == '3.8 % of the joints missing'
    assert np.isnan(pack.keypoint[0, 4, 7]).all() and np.isfinite(np.delete(pack.keypoint, 7, 2)).all()
    assert [panel.note for panel in with_a_loss(fill=True)[1:]] == [''] * 4
    motion = in_stream(raw, 'motion', LAYOUT)
    assert np.isnan(motion.keypoint[0, :4, 7]).all() and np.isfinite(np.delete(motion.keypoint, 7, 2)).all()


def test_missing_joints_set_neither_the_scale_nor_the_upright() -> None:
    raw = with_a_loss()[0]
    keypoint = np.delete(raw.keypoint, 7, 2)
    centre, reach = frame_of(raw)
    assert np.isfinite(centre).all() and np.isfinite(reach)
    whole = frame_of(Panel('raw', 'joint', np.concatenate([keypoint, raw.keypoint[:, :1, [7]].repeat(5, 1)], axis=2)))
    np.testing.assert_allclose(centre, whole[0])
    assert upwards(raw, LAYOUT) in (-1, 1)
    every = raw.keypoint.copy()
    every[:, :, LAYOUT.spine[0]] = np.nan
    assert upwards(Panel('raw', 'joint', every), LAYOUT) == 1


@pytest.mark.slow
def test_a_gif_draws_no_bone_to_a_missing_joint(tmp_path) -> None:
    player = clip_player._Player(clip_player.Figure().subplots(), with_a_loss()[0], LAYOUT, 1)
    player.show(0.0)
    whole = len(player.lines[0].get_segments())
    player.show(0.99)
    assert (whole, len(player.lines[0].get_segments())) == (19, 18)
    assert play_clip(with_a_loss(), LAYOUT, tmp_path / 'clip.gif', 'c').is_file()


@pytest.mark.skipif(not shutil.which('node'), reason='needs node to run the script of the page')
def test_the_page_draws_no_missing_joint(tmp_path) -> None:
    shown = with_a_loss()[:2]
    path = play_clip(shown, LAYOUT, tmp_path / 'clip.html', 'c')
    script = path.read_text().split('<script>')[1].split('</script>')[0]
    code = (
        STUB.replace('DATA', json.dumps(json.dumps(data_of(path)))) + script + '\nconsole.log(JSON.stringify(drawn));'
    )
    done = subprocess.run(['node', '-e', code], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout) == {'lines': 18 * 2, 'dots': 19 * 2}, done.stderr


def test_views_show_missing_joints_where_they_went() -> None:
    clips, missing = torch.randn(2, 3, 8, 20, 1), torch.zeros(2, 8, 20, 1, dtype=torch.bool)
    missing[0, :, 7] = True
    flip = {'type': 'SpatialFlip', 'probability': 1}
    noise = {'type': 'GaussianNoise', 'probability': 1, 'on': 'stream'}
    views = {'query': {'shear': {'type': 'Shear'}, 'flip': flip, 'noise': noise}, 'plain': {}}
    preprocessor = SkeletonPreprocessor('kinect20', 'joint', views)
    steps = view_steps(preprocessor, clips, ['query', 'plain'], missing=missing)
    other = LAYOUT.mirrored[7]
    for panel, joint in zip(steps, (7, other, other, 7), strict=True):
        assert np.isnan(panel.keypoint).any(axis=(0, 1, 3)).nonzero()[0].tolist() == [joint]
