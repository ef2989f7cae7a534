"""The parts of an ensemble: class scores of single streams, read from records or score files."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skeattn.choices import MEAN
from skeattn.errors import ConfigError, DataError
from skeattn.files import sha256
from skeattn.results import record as records
from skeattn.results.record import Record, SourceRecord
from skeattn.results.score_file import ScoreFile


@dataclass
class Part:
    """One stream of an ensemble.

    Args:
        path: the score file; ``sha256`` its digest.
        file: its content.
        stream: its stream, several joined by ``+``.
        display_name: its name in messages: the record, or the score file if that was passed.
        record_path, record, source: the record that names the file, and the source in it; None without a record.
    """

    path: Path
    sha256: str
    file: ScoreFile
    stream: str
    display_name: str
    record_path: Path | None = None
    record: Record | None = None
    source: str | None = None

    @property
    def protocol(self) -> str | None:
        """The protocol of the scores."""
        name: str | None = self.file.facts.get('protocol')
        return name

    @property
    def settings(self) -> Mapping[str, Any] | None:
        """Settings of the protocol; None if they are unknown."""
        recorded = self.record.protocols.get(self.protocol or '') if self.record else None
        return recorded or self.file.facts.get('settings')

    @property
    def source_record(self) -> SourceRecord | None:
        """The recorded results of the source."""
        return self.record.sources[self.source] if self.record and self.source else None

    @property
    def readout(self) -> str:
        """The readout of the features behind the scores; older files have the mean."""
        source = self.source_record
        return source.readout if source else self.file.facts.get('readout', MEAN)

    @property
    def scores_of(self) -> str | None:
        """The epoch or K of the scores."""
        source = self.source_record
        return source.protocols[self.protocol or ''].scores_of if source else None


def read_parts(
    path: str | os.PathLike[str], protocol: str = 'linear', sources: Sequence[str] | None = None
) -> list[Part]:
    """The scores of a protocol from a record, or those of a score file.

    Args:
        path: a record (``.json``) or a score file (``.npz``).
        protocol: whose scores are read.
        sources: the features whose scores are read; needed if the record has several.

    Raises:
        RecordError: the record is not readable.
        DataError: a file is missing, damaged or changed, or the record has no scores of the protocol.
        ConfigError: the record has several sources with scores, and ``sources`` is None.
    """
    path = Path(path)
    if path.suffix not in ('.json', '.npz'):
        kind = 'a checkpoint, not a result' if path.suffix == '.pth' else 'not a result of skeattn test'
        raise DataError(f'{path} is {kind}; give the JSON record that skeattn test wrote, or its score file (.npz)')
    if path.suffix == '.npz':
        file = ScoreFile.read(path)
        return [Part(path, sha256(path), file, _joined(file.facts.get('stream', 'joint')), str(path))]
    record = records.read(path)
    scored = [
        name
        for name, source in record.sources.items()
        if protocol in source.protocols and source.protocols[protocol].scores
    ]
    if not scored:
        raise DataError(
            f'{path} has no scores of protocol {protocol!r}, only of {_scored_protocols(record)}; choose with '
            f'--protocol, or run skeattn test again with the protocol'
        )
    if sources is None and len(scored) > 1:
        raise ConfigError(f'{path} has scores of {", ".join(scored)}; choose with --source')
    if missing := [source for source in sources or () if source not in scored]:
        raise DataError(
            f'{path} has no scores of {", ".join(missing)} for {protocol!r}; choose --source from {", ".join(scored)}'
        )
    return [_read_part(path, record, source, protocol) for source in sources or scored]


def _read_part(path: Path, record: Record, source: str, protocol: str) -> Part:
    recorded = record.sources[source]
    result = recorded.protocols[protocol]
    scores = path.parent / str(result.scores)
    file, digest = ScoreFile.read(scores), sha256(scores)
    if digest != result.scores_sha256:
        raise DataError(f'{scores} changed after {path} was written; run skeattn test again')
    display_name = str(path) if len(record.sources) == 1 else f'{path} ({source})'
    return Part(scores, digest, file, _joined(recorded.streams), display_name, path, record, source)


def _scored_protocols(record: Record) -> str:
    """The protocols that have scores in a record."""
    results = [item for source in record.sources.values() for item in source.protocols.items()]
    return ', '.join(dict.fromkeys(name for name, result in results if result.scores)) or 'none'


def _joined(stream: str | Sequence[str]) -> str:
    return stream if isinstance(stream, str) else '+'.join(stream)
