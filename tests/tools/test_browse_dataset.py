"""browse_dataset.py as a user runs it."""

from pathlib import Path

import pytest
from PIL import Image

from skeattn.errors import ConfigError
from tests.engine.toy import call, write_config
from tests.visualization.pages import data_of


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the tool on a toy config: ``run(...) -> what it printed``."""
    config = write_config(tmp_path)

    def show(*arguments: str) -> str:
        call('browse', config, *arguments)
        return capsys.readouterr().out

    monkeypatch.chdir(tmp_path)
    return show


PIPELINE = ['raw', 'centre', 'resample', 'pack']
VIEWS = ['query.crop', 'query.shear', 'key.crop', 'key.shear', 'mix.skelemix']


def test_the_page_shows_every_step_of_the_pipeline_and_the_views(run):
    """Test clips come first in the toy set, so training clip 0 is clip010."""
    printed = run()
    page = Path('work_dirs/browse/clip010.html')
    assert f'wrote {page}: 9 panels: raw | centre' in printed
    data = data_of(page)
    assert [panel['step'] for panel in data['panels']] == PIPELINE + VIEWS
    assert data['title'].startswith('clip010: class1') and data['title'].endswith('train)')


def test_a_clip_is_found_by_name_or_place_and_views_and_streams_are_chosen(run):
    run('--clip', 'clip003', '--split', 'test', '--view', 'key', '--stream', 'bone,motion', '--out', 'a.html')
    named = data_of(Path('a.html'))
    steps = [*PIPELINE, 'key.crop', 'key.shear']
    expected = [(stream, step) for stream in ('bone', 'motion') for step in steps]
    assert [(panel['stream'], panel['step']) for panel in named['panels']] == expected
    run('--clip', '3', '--split', 'test', '--view', 'key', '--stream', 'bone,motion', '--out', 'b.html')
    assert data_of(Path('b.html')) == named
    run('--clip', '3', '--split', 'test', '--view', 'key', '--stream', 'bone,motion', '--seed', '1', '--out', 'c.html')
    assert data_of(Path('c.html'))['panels'][-1] != named['panels'][-1]


@pytest.mark.parametrize('frames', ['None', '12'])
def test_crops_of_native_clips_are_shown(run, frames):
    crop = 'model.data_preprocessor.views.query.crop'
    set_to = f"{crop}=dict(_delete_=True,type='CropResize',min_frames=8,num_frames={frames})"
    assert 'query.crop | query.shear' in run('--clip', '3', '--view', 'query', '--cfg-options', set_to)


@pytest.mark.slow
def test_a_gif_on_request(run):
    run('--view', 'mix', '--out', 'clip.gif', '--frames', '4')
    with Image.open('clip.gif') as gif:
        assert gif.n_frames == 4


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--clip', 'clip003'], '--clip clip003: not a train clip; choose the other --split'),
        (['--clip', '26'], r'--clip 26: unknown; give a name in .* or a place in 0\.\.25'),
        (['--clip', 'nobody'], '--clip nobody: unknown; give a name'),
        (['--view', 'strong'], '--view strong: unknown; choose from query, key, mix'),
        (['--stream', 'joint,bones'], '--stream bones: unknown; choose from joint, motion, bone'),
        (['--out', 'clip.avi'], r"clip\.avi: unknown suffix '\.avi'; choose from"),
    ],
)
def test_a_wrong_choice_is_named(run, arguments, message):
    with pytest.raises(ConfigError, match=message):
        run(*arguments)


def test_a_method_without_views_shows_its_pipeline(run):
    run('--cfg-options', 'model.data_preprocessor.views=None', '--out', 'a.html')
    assert [panel['step'] for panel in data_of(Path('a.html'))['panels']] == PIPELINE
