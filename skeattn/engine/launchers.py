"""Programs that start the processes of a training, and the variables in which they count them."""

import os

from skeattn.errors import ConfigError

LAUNCHERS = {
    'pytorch': (('WORLD_SIZE', 'RANK', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'), 'tools/dist_train.sh CONFIG GPUS'),
    'slurm': (('SLURM_NTASKS', 'SLURM_PROCID', 'SLURM_NODELIST'), 'tools/slurm_train.sh CONFIG GPUS'),
    'mpi': (('OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK'), 'mpirun -n PROCESSES'),
}
"""Launcher -> the variables that it sets for each process, the number of processes first; a command that starts it."""


def world_size(launcher: str) -> int:
    """Number of processes that the launcher started, known before they are connected.

    Raises:
        ConfigError: the variables of the launcher are not set, or their numbers are none.
    """
    if not isinstance(launcher, str) or launcher not in LAUNCHERS:
        return 1
    names, command = LAUNCHERS[launcher]
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise ConfigError(
            f'launcher={launcher!r} reads the variables {", ".join(names)}, which it sets for every process; '
            f'{", ".join(missing)} {"is" if len(missing) == 1 else "are"} not set. Start the processes with {command}, '
            f'or leave out --launcher for one process'
        )
    for name in names:
        value = os.environ[name]
        if name.endswith(('SIZE', 'RANK', 'PORT', 'NTASKS', 'PROCID')) and not value.isdecimal():
            raise ConfigError(f'launcher={launcher!r}: the variable {name}={value!r} is no number')
    return int(os.environ[names[0]])
