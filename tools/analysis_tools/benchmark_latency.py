"""Latency of a trained network: python tools/analysis_tools/benchmark_latency.py work_dirs/skeattnclr/stgcn_demo

Times a forward pass of the module, of its exported program and of its ONNX graph in turn, for single clips and batches.
The ratios within one run are reliable; single times depend on the machine and its load.
"""

import argparse

from skeattn import cli
from skeattn.choices import READOUTS


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('checkpoint', metavar='CHECKPOINT', help='a file, or a work_dir')
    top.add_argument('--clips', type=int, nargs='+', default=[1, 32], help='batch sizes (1 32)')
    top.add_argument('--source', default='backbone', help='features: backbone (the default), projector, logits')
    cli.add_renamed(top, '--features', '--source')
    top.add_argument('--readout', choices=READOUTS)
    top.add_argument('--rounds', type=int, default=20, help='calls of each alternative (20)')
    top.add_argument('--threads', type=int, default=1)
    top.add_argument('--out', metavar='FILE', help='also write a JSON record')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

import torch
from tabulate import tabulate

from skeattn.benchmark.latency import latencies
from skeattn.deployment import DeployedNetwork
from skeattn.engine.build import load_model
from skeattn.files import write_json
from skeattn.results.provenance import environment


def main() -> None:
    args = parser().parse_args()
    torch.set_num_threads(args.threads)
    network = DeployedNetwork(load_model(args.checkpoint), args.source, args.readout)
    found = dict(latencies(network, args.clips, args.rounds))
    table = [
        [clips, row['name'], row['median_ms'], row['low_ms'], row['high_ms'], row['per_second'], row['ratio']]
        for clips, rows in found.items()
        for row in rows
    ]
    headers = ['clips', 'network', 'median ms', 'quartile', 'quartile', 'clips/s', 'ratio']
    print(tabulate(table, headers, floatfmt=('d', '', '.2f', '.2f', '.2f', '.0f', '.2f')))
    if args.out:
        write_json(args.out, {'latency': {str(clips): rows for clips, rows in found.items()}, **environment()})


if __name__ == '__main__':
    cli.run(main)
