"""The training loop, which can stop early, and the evaluation loop, which runs the encoder once per clip."""

import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process, master_only
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop
from mmengine.runner.base_loop import BaseLoop

from skeattn.datasets.labelled import labelled_clips_of
from skeattn.engine.advice import advice
from skeattn.engine.contact import BRIEF_S, brief_waiting, usual_timeout
from skeattn.engine.hooks.metrics import check_metric
from skeattn.engine.hooks.non_finite import check_weights
from skeattn.engine.hooks.plateau import LossScheduleHook
from skeattn.engine.hooks.steps import bare_model
from skeattn.engine.places import lookup
from skeattn.errors import NoClipsError, StorageError
from skeattn.evaluation.evaluator import as_evaluator, evaluate_all
from skeattn.evaluation.features import extract_features
from skeattn.files import write_text
from skeattn.models.readout import LOGITS, MEAN, with_readout
from skeattn.registry import EVALUATORS, LOOPS

EVALUATED = 'last_evaluation'
"""File in the work_dir with the number of the last evaluated epoch."""


def evaluated(epoch: int, epochs: int, interval: int, begin: int) -> bool:
    """Whether a training evaluates after an epoch: after those that ``interval`` names, from ``begin``, and the last.

    Args:
        epoch: complete ones.
        epochs: of the whole training.
        interval, begin: ``train_cfg.val_interval`` and ``train_cfg.val_begin``.
    """
    return epoch >= begin and (epoch % interval == 0 or epoch == epochs)


@LOOPS.register_module()
class EpochLoop(EpochBasedTrainLoop):
    """mmengine's epoch loop, which stops after ``max_iters`` iterations when given.

    Schedules then end there, too: the last epoch may be cut short, and counts as an epoch. A resumed run begins within
    an epoch where the other one ended there, and with the evaluation of the last epoch if that was not finished.

    Args:
        max_iters: upper bound; default all of ``max_epochs``.
        timeout: seconds that one of several processes waits for another one within an epoch, from the second iteration
            on, before the training ends with an error that names it. Long waits at the start and in an evaluation
            have the timeout of ``env_cfg.dist_cfg``.
    """

    _max_iters: int

    def __init__(
        self,
        runner: Any,
        dataloader: Any,
        max_epochs: int,
        max_iters: int | None = None,
        timeout: float = BRIEF_S,
        **kwargs: Any,
    ) -> None:
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        self.timeout = timeout
        if max_iters is not None and max_iters < self._max_iters:
            self._max_iters = max_iters
            self._max_epochs = math.ceil(max_iters / len(self.dataloader))

    def run(self) -> Any:
        """Train, unless a resumed run has nothing left.

        Beforehand a model with ``check_data`` checks the data set, one with ``check_start`` that weights were loaded;
        settings that are probably a mistake are logged.

        Raises:
            NonFiniteError: a weight is NaN or infinite from the beginning.
        """
        model = bare_model(self.runner)
        if hasattr(model, 'check_data'):
            model.check_data(self.dataloader.dataset)
        if hasattr(model, 'check_start'):
            model.check_start(self.runner._has_loaded)
        check_weights(self.runner)
        self._check_schedules()
        if self._iter == 0:
            self._advise(model)
        if self._epoch >= self._max_epochs:
            self.runner.logger.warning(
                f'nothing left to train: epoch {self._epoch} of {self._max_epochs} is done; raise train_cfg.max_epochs '
                f'or, where it cut the run short, max_iters: schedules then follow the new length'
            )
        self.runner.call_hook('before_train')
        if self._iter == 0:
            self._note_evaluation(None)
        elif self._at_the_end_of_an_epoch and self._noted_evaluation != self._epoch:
            self._evaluate_if_due()  # the run ended between the epoch's checkpoint and the end of its evaluation
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            self._evaluate_if_due()
        self.runner.call_hook('after_train')
        return self.runner.model

    def _check_schedules(self) -> None:
        """Refuse schedules that wait for a metric without an evaluation that has it."""
        if any(isinstance(hook, LossScheduleHook) for hook in self.runner.hooks):
            return
        for schedule in self.runner.param_schedulers or ():
            if getattr(schedule, 'need_val_args', False):
                place = f'param_scheduler: {type(schedule).__name__}.monitor'
                cure = 'or let it watch the training loss: default_hooks.param_scheduler.type="LossScheduleHook"'
                check_metric(self.runner, place, schedule.monitor, f'take one of these, {cure}')

    def _advise(self, model: Any) -> None:
        cfg, clips = self.runner.cfg, len(self.dataloader.dataset)
        batch_size, optimizer = cfg.get('batch_size'), lookup(cfg, 'optim_wrapper.optimizer')
        if batch_size is not None:
            for sentence in advice(model, clips, batch_size, self._max_iters, optimizer):
                self.runner.logger.warning(sentence)
        if self.runner.val_loop is not None and self.val_begin > self._max_epochs:
            self.runner.logger.warning(
                f'train_cfg.val_begin={self.val_begin} is beyond the last epoch, {self._max_epochs}: no evaluation'
            )

    def run_epoch(self) -> None:
        """One epoch, from the batch that a resumed run has reached, until ``max_iters``."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        done = self._iter - self._epoch * len(self.dataloader)
        skipped = hasattr(self.dataloader.sampler, 'start_at')
        if skipped:
            self.dataloader.sampler.start_at(done)
        further: Callable[[], None] | None = None
        with contextlib.ExitStack() as limit:
            for index, batch in enumerate(self.dataloader, done if skipped else 0):
                if self._iter >= self._max_iters:
                    break
                if index >= done:
                    if further is not None:
                        further()
                    self.run_iter(index, batch)
                    if further is None:  # what is slow only once, such as compiling, is over
                        group = getattr(getattr(self.runner, 'stop', None), 'group', None)
                        further = limit.enter_context(brief_waiting(self.timeout, self._usual_timeout, group))
                    further()
            self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    @property
    def _usual_timeout(self) -> float:
        return usual_timeout(lookup(self.runner.cfg, 'env_cfg.dist_cfg'))

    def _evaluate_if_due(self) -> None:
        """Evaluate after the epochs that ``val_interval`` names and after the last, and note that it was done."""
        if self.runner.val_loop is not None and evaluated(
            self._epoch, self._max_epochs, self.val_interval, self.val_begin
        ):
            self.runner.val_loop.run()
            self._note_evaluation(self._epoch)

    @property
    def _at_the_end_of_an_epoch(self) -> bool:
        return self._iter == min(self._epoch * len(self.dataloader), self._max_iters)

    @property
    def _noted_evaluation(self) -> int | None:
        """The last evaluated epoch, as the first process has noted it."""
        path = Path(self.runner.work_dir) / EVALUATED
        shared = [path.read_text(errors='replace').strip() if is_main_process() and path.is_file() else '']
        broadcast_object_list(shared)
        return int(shared[0]) if shared[0].isdecimal() else None

    @master_only
    def _note_evaluation(self, epoch: int | None) -> None:
        path = Path(self.runner.work_dir) / EVALUATED
        if epoch is None:
            path.unlink(missing_ok=True)
            return
        try:
            write_text(path, f'{epoch}\n')
        except StorageError as error:  # without the note, a resumed run evaluates the epoch once more
            self.runner.logger.warning(f'{error}; the training goes on')


@LOOPS.register_module()
class FeatureLoop(BaseLoop):
    """Extract the features of bank and test clips once and hand them to every evaluator.

    Metrics are named ``<evaluator>/<metric>``. Weights, train/eval flags and random state stay as they are. All
    processes extract; those evaluators that share their work run on all, the others on the first. Clips without a label
    are left out. Where no bank or test clips are left, a warning gives the reason, once, and nothing is evaluated.

    Args:
        runner: the Runner.
        dataloader: ``dict(bank=…, test=…)``: data set configs.
        evaluator: named evaluator configs.
        source: which features, see ``Algorithm.features``.
        batch_size: clips per forward pass.
        readout: of a source that names none, see :mod:`skeattn.models.readout`.
        autocast: encode under bfloat16 autocast.
    """

    def __init__(
        self,
        runner: Any,
        dataloader: dict[str, Any],
        evaluator: dict[str, Any],
        source: str = 'backbone',
        batch_size: int = 256,
        readout: str = MEAN,
        autocast: bool = False,
    ) -> None:
        self._runner = runner
        self.reason: str | None = None
        try:
            self.dataloader = {name: labelled_clips_of(runner.build_dataset(cfg)) for name, cfg in dataloader.items()}
        except NoClipsError as error:
            self.dataloader, self.reason = {}, str(error)
            runner.logger.warning(f'no evaluation: {error}')
        self.evaluator = {name: as_evaluator(EVALUATORS.build(cfg)) for name, cfg in evaluator.items()}
        self.source, self.batch_size = source if source == LOGITS else with_readout(source, readout), batch_size
        self.autocast = autocast

    def run(self) -> dict[str, float]:
        """Evaluate; returns the metrics, none where there are no clips to evaluate on."""
        if self.reason is not None:
            return {}
        runner, stage = self.runner, 'test' if self.runner._test_loop is self else 'val'
        runner.call_hook(f'before_{stage}')
        runner.call_hook(f'before_{stage}_epoch')
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        features = {
            name: extract_features(model, dataset, self.batch_size, self.source, autocast=self.autocast)
            for name, dataset in self.dataloader.items()
        }
        shared = [evaluate_all(self.evaluator, **features)]
        broadcast_object_list(shared)
        runner.call_hook(f'after_{stage}_epoch', metrics=shared[0])
        runner.call_hook(f'after_{stage}')
        return shared[0]
