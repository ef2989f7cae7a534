"""The map of a report: where clips lie, which are their neighbours, how they move and what the mask attends to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from skeattn.channels import num_coordinates
from skeattn.datasets import PackedSet, Pipeline, open_sets
from skeattn.datasets.materialise import materialise
from skeattn.datasets.packed import class_name
from skeattn.datasets.splits import of_part
from skeattn.engine.build import config_of, load_model
from skeattn.engine.config import resolve_config
from skeattn.errors import CheckpointError, NoClipsError
from skeattn.evaluation.embedding_map import evenly, project
from skeattn.evaluation.features import extract_features
from skeattn.evaluation.knn import nearest_neighbours
from skeattn.evaluation.salient_mask import has_mask, salient_mask
from skeattn.progress import progress
from skeattn.registry import DATASETS
from skeattn.report.motion import MASK_FRAMES, Motion, affordable, drawable, levelled, quantise, quantise_masks, upright
from skeattn.report.overview import Part, source_of
from skeattn.report.runs import Run

BUDGET = 27 * 2**20
"""Bytes of all coordinates and masks; as base64 they are a third more, which leaves room within 40 MB."""
COLUMNS = ('subject', 'camera')
FPS = 30.0
"""Frames per second at which clips are assumed to be recorded."""
BATCH = 256


@dataclass(frozen=True)
class MapOptions:
    """Settings of the maps.

    Attributes:
        method, seed: of the projection, see :func:`~skeattn.evaluation.embedding_map.project`.
        limit: maximum number of clips on a map; more are thinned evenly.
        neighbours: of each clip.
        device: of the networks.
        options: overrides of the configs of all runs by dotted key, such as ``dataset.data``.
    """

    method: str = 'tsne'
    seed: int = 0
    limit: int = 2000
    neighbours: int = 5
    device: str = 'cpu'
    options: Mapping[str, Any] | None = None


class Scene:
    """The clips of one data set, shared by all runs that prepare it in the same way.

    Attributes:
        bank, shown: data sets of the training clips and of the clips on the map: the test clips, or the training
            clips where a split has no others.
        on_map: indices of ``shown``.
        rows: (whether it is of the bank, index) of every clip on the page: first those on the map, then neighbours.
    """

    def __init__(self, cfg: Config, limit: int) -> None:
        self.bank = DATASETS.build(of_part(cfg.dataset, 'train'))
        try:
            self.shown = DATASETS.build(of_part(cfg.dataset, 'test'))
        except NoClipsError:
            self.shown = self.bank
        self.packed: PackedSet = open_sets(cfg.dataset.data)
        self.pipeline = Pipeline(cfg.dataset.pipeline).in_place()
        self.on_map = evenly(len(self.shown), limit)
        self.rows: dict[tuple[bool, int], int] = {(self.of_bank, int(i)): n for n, i in enumerate(self.on_map)}

    @property
    def of_bank(self) -> bool:
        """Whether the clips on the map are themselves the training clips."""
        return self.shown is self.bank

    def add(self, ranked: Sequence[Tensor]) -> None:
        """Add neighbours, the nearest of all clips and runs first.

        Args:
            ranked: indices of the bank ``(N, K)`` per run.
        """
        for rank in range(max(indices.shape[1] for indices in ranked)):
            for indices in ranked:
                for i in indices[:, rank].tolist():
                    self.rows.setdefault((True, i), len(self.rows))

    def stored(self) -> np.ndarray:
        """Index of each row in the packed set."""
        number = {str(name): i for i, name in enumerate(self.packed.table['name'])}
        return np.array([number[str((self.bank if of_bank else self.shown).names[i])] for of_bank, i in self.rows])

    def part(self, indices: np.ndarray) -> Part:
        """Facts of every row."""
        labels, names = self.packed.table['label'][indices], self.packed.table['name'][indices]
        present = sorted({*labels.tolist()}, key=lambda label: (label < 0, label))
        place = {label: n for n, label in enumerate(present)}
        layout = self.bank.layout
        return {
            'data': self.packed.path.name,
            'part': self.shown.part,
            'on_map': len(self.on_map),
            'of': len(self.shown),
            'classes': [class_name(self.packed.classes, label) for label in present],
            'unlabelled': [place[label] for label in present if label < 0],
            'joints': list(layout.joints),
            'bones': [list(bone) for bone in layout.bones],
            'name': [str(name) for name in names],
            'label': [place[label] for label in labels.tolist()],
            **{column: self.packed.table[column][indices].tolist() for column in COLUMNS},
            'seconds': (self.packed.table['frames'][indices] / FPS).round(2).tolist(),
        }


@dataclass
class Embedded:
    """A run on the map of its scene.

    Attributes:
        points: ``(N, 2)``.
        nearest, similarity: ``(N, K)`` indices of the bank, and cosine similarities.
    """

    run: Run
    model: nn.Module
    scene: Scene
    points: np.ndarray
    nearest: Tensor
    similarity: Tensor

    def part(self, number: int) -> Part:
        """Points and neighbours; ``number`` is that of the scene."""
        place = np.asarray(self.points, np.float64)
        place = (place - place.min(axis=0)) / np.maximum(np.ptp(place, axis=0).max(), 1e-12)
        rows = [[self.scene.rows[True, i] for i in indices] for indices in self.nearest.tolist()]
        similar = [[round(value, 4) for value in values] for values in self.similarity.tolist()]
        return {
            'scene': number, 'source': source_of(self.run),
            'points': place.round(4).tolist(), 'neighbours': rows, 'similarity': similar,
        }  # fmt: skip


def maps(runs: Sequence[Run], options: MapOptions) -> tuple[list[Part], list[Part], list[Part]]:
    """(a map per run, or the reason why it has none; the scenes; their motion and masks).

    Args:
        runs: with or without a checkpoint.
        options: settings.
    """
    scenes: dict[str, Scene] = {}
    found = [run.attempt('map', lambda run=run: _embed(run, scenes, options)) for run in runs]  # type: ignore[misc]
    for scene in scenes.values():
        ranked = [one.nearest for one in found if one and one.scene is scene]
        if ranked:
            scene.add(ranked)
    used = [scene for scene in scenes.values() if any(one and one.scene is scene for one in found)]
    parts, motions = [], []
    for scene in used:
        stored = scene.stored()
        masked = {i: one.model for i, one in enumerate(found) if one and one.scene is scene and has_mask(one.model)}
        motion, facts = _motion(scene, stored, masked, BUDGET / len(used))
        parts.append({**scene.part(stored), **facts})
        motions.append(motion)
    of_runs = [
        one.part(used.index(one.scene)) if one else {'reason': run.missing['map']}
        for run, one in zip(runs, found, strict=True)
    ]
    return of_runs, parts, motions


def _embed(run: Run, scenes: dict[str, Scene], options: MapOptions) -> Embedded:
    if run.checkpoint is None:
        raise CheckpointError(run.missing['checkpoint'])
    cfg = config_of(run.checkpoint)
    if options.options:
        cfg.merge_from_dict(dict(options.options))
        cfg = resolve_config(cfg)
    key = repr(cfg.dataset.to_dict())
    scene = scenes[key] if key in scenes else scenes.setdefault(key, Scene(cfg, options.limit))
    model = load_model(run.checkpoint).to(options.device)
    loop = run.config.get('test_cfg') or {}
    source, autocast = source_of(run), bool(loop.get('autocast', False))
    bank = extract_features(model, scene.bank, BATCH, source, autocast=autocast)
    shown = bank if scene.of_bank else extract_features(model, scene.shown, BATCH, source, autocast=autocast)
    shown = shown.select(torch.as_tensor(scene.on_map))
    points = project(shown.x.numpy(), options.seed, method=options.method)
    own = int(scene.of_bank)  # a training clip is its own nearest neighbour
    k = min(options.neighbours + own, len(bank))
    similarity, nearest = nearest_neighbours(shown.x, bank.x, k, bank.num_streams, device=options.device)
    if own:
        kept = _without(nearest, torch.as_tensor(scene.on_map))
        similarity, nearest = similarity.gather(1, kept), nearest.gather(1, kept)
    return Embedded(run, model, scene, points, nearest, similarity)


def _without(nearest: Tensor, own: Tensor) -> Tensor:
    """Columns ``(N, K - 1)`` of the neighbours ``(N, K)`` but the clip itself, or but the last if it is absent."""
    others = nearest != own[:, None]
    return others.int().sort(dim=1, descending=True, stable=True).indices[:, : nearest.shape[1] - 1]


def _motion(
    scene: Scene, stored: np.ndarray, masked: Mapping[int, nn.Module], budget: float
) -> tuple[Part, dict[str, Any]]:
    """(motion and masks of the rows that the budget allows, facts on them for the page)."""
    D, missing = num_coordinates(scene.packed.channels), scene.pipeline.can_miss(scene.packed)
    clips = drawable(materialise(scene.packed, stored, scene.pipeline, marked=missing), D, missing)
    T, V = clips.shape[2:4]
    persons = np.isfinite(clips).any(axis=(2, 3, 4))
    costs = persons.sum(axis=1) * V
    budget -= len(masked) * MASK_FRAMES * float(costs.sum())
    count, frames = affordable(costs * D * 2, max(budget, 0.0), T)
    motions = [quantise(levelled(clip, scene.bank.layout), frames) for clip in progress(clips[:count], 'storing clips')]
    masks = {run: _masks(model, scene, persons[:count]) for run, model in masked.items()}
    facts = {
        'moving': count, 'frames': frames, 'dimensions': D, 'up': upright(clips, scene.bank.layout),
        'masks': {run: ends for run, (ends, _) in masks.items()},
    }  # fmt: skip
    return {
        'clips': [_as_list(one) for one in motions],
        'masks': {run: data for run, (_, data) in masks.items()},
    }, facts


def _as_list(motion: Motion) -> list[Any]:
    return [motion.persons, motion.frames, float(f'{motion.reach:.4g}'), motion.scale, motion.coordinates]


def _masks(model: nn.Module, scene: Scene, persons: np.ndarray) -> tuple[dict[str, float], list[str]]:
    """(range, mask of each of the first rows) of a network."""
    rows = list(scene.rows)[: len(persons)]
    found: list[Tensor] = []
    for start in range(0, len(rows), BATCH):
        found += _batch_of_masks(model, scene, rows[start : start + BATCH])
    if not found:
        return {'low': 0.0, 'high': 1.0}, []
    masks = torch.stack(found)
    values = masks[torch.as_tensor(persons)]
    low, high = float(values.min()), float(values.max())
    return {'low': low, 'high': high}, quantise_masks(masks, persons, low, high)


def _batch_of_masks(model: Any, scene: Scene, rows: Sequence[tuple[bool, int]]) -> list[Tensor]:
    masks: dict[tuple[bool, int], Tensor] = {}
    for of_bank in (False, True):
        indices = [i for bank, i in rows if bank is of_bank]
        if indices:
            values = salient_mask(model, (scene.bank if of_bank else scene.shown).__getitems__(indices))
            masks |= {(of_bank, i): value for i, value in zip(indices, values, strict=True)}
    return [masks[row] for row in rows]
