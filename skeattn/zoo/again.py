"""A published encoder evaluated again: its numbers agree with its file, or they do not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from skeattn.checkpoint import read_checkpoint, training_config
from skeattn.datasets.labelled import labelled_clips_of
from skeattn.datasets.union import digest_of, in_words
from skeattn.engine.amp import AutocastOptimWrapper
from skeattn.engine.build import build_splits, config_of, load_model
from skeattn.engine.verification import verify_checkpoint
from skeattn.errors import CheckpointError, DataError, SkeAttnError
from skeattn.evaluation.evaluator import run_evaluator, working_device
from skeattn.evaluation.features import Features, extract_features
from skeattn.evaluation.metrics import accuracy
from skeattn.evaluation.result import ProtocolResult
from skeattn.evaluation.trained_probe import TrainedProbe
from skeattn.experiments.data import generate_missing
from skeattn.protocols.settings import build_protocol
from skeattn.zoo.results import Result, can_be_repeated, differences

TOP1 = 'top1'


@dataclass
class Check:
    """What is known of a published file.

    Args:
        facts: name -> text.
        rows: number -> its published and its found value, and whether they agree.
        faults: what is wrong with the file or its numbers, a line each.
    """

    facts: dict[str, str]
    rows: list[tuple[str, float, float | None, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Again:
    """An encoder and the clips of its evaluation; features of a source are extracted once.

    Args:
        checkpoint: with its config.
        data: packed set instead of that of the config.
        device: by default the accelerator if there is one.

    Raises:
        CheckpointError: the checkpoint is damaged or holds no config.
        DataError: there is no such packed set.
    """

    def __init__(self, checkpoint: Path, data: str | None = None, device: str | None = None) -> None:
        cfg = config_of(checkpoint)
        if data is not None:
            cfg.dataset.data = data
        self.data = cfg.dataset.data
        generate_missing(self.data)
        self.train, self.test = map(labelled_clips_of, build_splits(cfg))
        self.device = working_device(device)
        self.model: Any = load_model(checkpoint).to(self.device)
        self.autocast = in_bfloat16(training_config(read_checkpoint(checkpoint)['meta']))
        self._features: dict[tuple[str, str, bool], Features] = {}

    @cached_property
    def digest(self) -> str | None:
        """Digest of the packed set."""
        return digest_of(self.data)

    def check_data(self, result: Result) -> None:
        """Refuse other clips than those of a result.

        Raises:
            DataError: the packed sets differ.
        """
        if result['manifest_sha256'] not in (None, self.digest):
            raise DataError(
                f'{in_words(self.data)} is not the set of the published numbers (manifest {str(self.digest)[:12]}…, '
                f'not {result["manifest_sha256"][:12]}…); pass --data with the set {result["data"]!r} converted from '
                f'the same files'
            )

    def result(self, result: Result) -> ProtocolResult:
        """The result of the same protocol, computed now."""
        features = [self.features(part, result['source'], result.get('autocast')) for part in ('train', 'test')]
        return run_evaluator(
            build_protocol(result['settings'], seed=result['seed'] or 0, device=str(self.device)),  # type: ignore[arg-type]
            *features,
        )

    def top1(self, probe: TrainedProbe, autocast: bool | None = None) -> float:
        """Accuracy of a trained probe on the test clips, in percent."""
        test = self.features('test', probe.source, autocast)
        return accuracy(probe.scores(test.x), test.labels)

    def features(self, part: str, source: str, autocast: bool | None = None) -> Features:
        """Of the clips ``'train'`` or ``'test'``, in bfloat16 or not; None: as the training evaluated them."""
        clips = self.train if part == 'train' else self.test
        key = part, source, self.autocast if autocast is None else autocast
        if key not in self._features:
            self._features[key] = extract_features(self.model, clips, source=source, autocast=key[-1])
        return self._features[key]


def in_bfloat16(config: Mapping[str, Any]) -> bool:
    """Whether a training evaluated in bfloat16, by its config, which may be anybody's: no name in it is looked up."""
    stated, wrapper = (config.get(key) for key in ('evaluation', 'optim_wrapper'))
    trained = isinstance(wrapper, Mapping) and wrapper.get('type') == AutocastOptimWrapper.__name__
    return bool(stated.get('autocast', trained) if isinstance(stated, Mapping) else trained)


def check_published(path: Path, data: str | None = None, device: str | None = None) -> Check:
    """Check a file, and evaluate it again if it is a published one.

    Args:
        path: a checkpoint.
        data, device: see :class:`Again`.

    Raises:
        CheckpointError: there is no such file.
        DataError: the packed set of its numbers is missing or another one.
    """
    verified = verify_checkpoint(path)
    check = Check(verified.facts, faults=list(verified.faults))
    if check.faults:
        return check
    content = read_checkpoint(path)
    published = content['meta'].get('published')
    results = published.get('results') if isinstance(published, dict) else None
    if not results:
        return check
    again = Again(path, data, device)
    try:
        _compare(check, path, results, content, again)
    except SkeAttnError:  # some are ValueErrors
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CheckpointError(f'{path}: its results are damaged ({error!r:.100}); publish it again') from error
    check.faults += [f'{name}: {was:.2f} is published, {now:.2f} is found' for name, was, now, ok in _wrong(check)]
    return check


def _wrong(check: Check) -> Iterator[tuple[str, float, float, str]]:
    return ((name, was, now, text) for name, was, now, text in check.rows if now is not None and text != 'agrees')


def _compare(check: Check, path: Path, results: list[Result], content: dict[str, Any], again: Again) -> None:
    """Add a row for each number."""
    clips = len(again.test)
    for result in results:
        name = f'{result["source"]}: {result["protocol"]}'
        if not can_be_repeated(result):
            check.rows += [(f'{name}/{key}', value, None, 'not repeated') for key, value in result['metrics'].items()]
            continue
        again.check_data(result)
        metrics = again.result(result).metrics
        wrong = differences(result, metrics, clips)
        check.rows += [
            (f'{name}/{key}', value, metrics.get(key), 'differs' if key in wrong else 'agrees')
            for key, value in result['metrics'].items()
        ]
    if 'probe' in content:
        probe = TrainedProbe.stored(content['probe'], str(path))
        same = {'source': probe.source, 'protocol': probe.protocol}
        ((was, autocast),) = (
            (result['metrics'][TOP1], result.get('autocast')) for result in results if same.items() <= result.items()
        )
        now = again.top1(probe, autocast)
        text = 'differs' if differences({'metrics': {TOP1: was}}, {TOP1: now}, clips) else 'agrees'
        check.rows.append((f'{probe.source}: stored {probe.protocol}/{TOP1}', was, now, text))
