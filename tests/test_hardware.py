"""Facts of the processor."""

import pytest

from skeattn import hardware

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
