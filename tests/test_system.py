import pytest

from pgtfast import _system


@pytest.mark.parametrize(
    ("flags", "fast"),
    [
        ("flags\t: fpu avx2 fma", False),
        ("flags\t: avx512f avx512_bf16", True),
        ("flags\t: amx_bf16", True),
        ("Features\t: fp bf16", True),
        ("", False),
    ],
)
def test_bfloat16_is_read_off_the_processor(flags, fast, tmp_path, monkeypatch):
    file = tmp_path / "cpuinfo"
    file.write_text(f"model name\t: A processor\n{flags}\n")
    monkeypatch.setattr(_system, "CPUINFO", file)
    assert _system.multiplies_bfloat16() is fast
    assert _system.processor_name() == "A processor"
