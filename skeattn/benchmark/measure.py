"""Measurements in a process of their own: ``python -m skeattn.benchmark.measure profile FILE cuda [--tiny]``."""

import argparse

import torch

from skeattn.benchmark.epoch import measure_epoch
from skeattn.benchmark.profile import measure_profile
from skeattn.files import write_json

MEASUREMENTS = {'profile': measure_profile, 'epoch': measure_epoch}


def main() -> None:
    """Measure and write the result."""
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument('what', choices=MEASUREMENTS)
    top.add_argument('out')
    top.add_argument('device', choices=('cuda', 'cpu'))
    top.add_argument('--tiny', action='store_true')
    args = top.parse_args()
    torch.set_num_threads(1)
    write_json(args.out, MEASUREMENTS[args.what](args.device, args.tiny))


if __name__ == '__main__':
    main()
