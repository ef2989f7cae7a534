"""Facts of the processor."""

import pytest

from skeattn import hardware
from tests.engine.toy import toy_runner, write_set

INTEL = 'processor : 0\nmodel name\t: Intel(R) Xeon(R) 6  \nflags\t\t: fpu avx2 {}\nbugs : none\n'


@pytest.mark.parametrize(
    ('flags', 'expected'),
    [('avx512_bf16', True), ('amx_bf16', True), ('avx512f', False), ('avx512_bf16x', False), ('asimd bf16 i8mm', True)],
)
def test_the_flags_tell_whether_there_is_bfloat16(flags, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, 'CPUINFO', tmp_path / 'cpuinfo')
    hardware.CPUINFO.write_text(INTEL.format(flags))
    assert hardware.cpu_bfloat16() is expected
    assert hardware.cpu_name() == 'Intel(R) Xeon(R) 6'


def test_a_system_that_tells_nothing_is_taken_to_have_none(tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, 'CPUINFO', tmp_path / 'missing')
    assert not hardware.cpu_bfloat16()
    assert hardware.cpu_name()


def test_an_apple_gpu_is_left_alone(monkeypatch, tmp_path):
    """mmengine would move the model there, whose float64 is missing, while evaluations stay on the CPU."""
    monkeypatch.setattr('mmengine.runner.runner.get_device', lambda: 'meta')  # stands for 'mps'
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    assert hardware.default_device() == 'cpu'
    runner = toy_runner(tmp_path, data=write_set(tmp_path / 'set'), max_iters=1)
    assert {p.device.type for p in runner.model.parameters()} == {'cpu'}
