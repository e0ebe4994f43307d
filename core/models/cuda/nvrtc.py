"""Compile CUDA C for the present GPU with NVRTC, which comes with torch, and launch its kernels.

Source: https://docs.nvidia.com/cuda/nvrtc, and the CUDA driver API.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import glob
import hashlib
import os
import site
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.user_cache import cache_folder

_SHARED_LIMIT_ATTRIBUTE = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
_DEFAULT_SHARED = 40_000  # bytes; with static shared memory, up to 48 KB need no permission


class CudaError(RuntimeError):
    """NVRTC or the CUDA driver refused a call."""


class Kernel:
    """A compiled kernel.

    Args:
        function: handle of the CUDA driver.
        shared: bytes of dynamic shared memory.
    """

    def __init__(self, function: ctypes.c_void_p, shared: int = 0):
        self.function, self.shared = function, shared
        if shared > _DEFAULT_SHARED:
            _check(_driver().cuFuncSetAttribute(function, _SHARED_LIMIT_ATTRIBUTE, shared))

    def __call__(self, grid: tuple[int, int], threads: int, *arguments: Any) -> None:
        """Launch the kernel on the current stream.

        Args:
            grid: blocks in x and y.
            threads: per block.
            arguments: tensors or None (pointers), integers (int) and numbers (float).
        """
        values = [_to_c(argument) for argument in arguments]
        pointers = (ctypes.c_void_p * len(values))(
            *(ctypes.cast(ctypes.byref(value), ctypes.c_void_p) for value in values)
        )
        _use_context()
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        size = (*grid, 1, threads, 1, 1)
        _check(_driver().cuLaunchKernel(self.function, *size, self.shared, stream, pointers, None))


def compile_kernels(source: str, shared: dict[str, int]) -> dict[str, Kernel]:
    """Compile CUDA C for the current GPU.

    Args:
        source: with `extern "C"` kernels.
        shared: bytes of dynamic shared memory by the name of the kernel.

    Raises:
        CudaError: there is no NVRTC, or the source does not compile.
    """
    major, minor = torch.cuda.get_device_capability()
    binary = compile_source(source, f"sm_{major}{minor}")
    _use_context()
    module = ctypes.c_void_p()
    _check(_driver().cuModuleLoadData(ctypes.byref(module), binary))
    kernels = {}
    for name, size in shared.items():
        function = ctypes.c_void_p()
        _check(_driver().cuModuleGetFunction(ctypes.byref(function), module, name.encode()))
        kernels[name] = Kernel(function, size)
    return kernels


def compile_source(source: str, architecture: str) -> bytes:
    """Return the machine code of CUDA C for an architecture such as "sm_90".

    It is kept in the user's cache folder, since compiling takes about a second.

    Raises:
        CudaError: there is no NVRTC, or the source does not compile.
    """
    path = _cache_path(source, architecture)
    if path is not None and path.is_file():
        return path.read_bytes()
    binary = _compile(source, architecture)
    if path is not None:
        with contextlib.suppress(OSError):
            part = path.with_suffix(f".{os.getpid()}")
            part.write_bytes(binary)
            part.replace(path)
    return binary


def _cache_path(source: str, architecture: str) -> Path | None:
    """Return the file of compiled code, or None if there is no folder for it."""
    key = hashlib.sha256(f"{torch.version.cuda} {architecture} {source}".encode()).hexdigest()
    try:
        folder = cache_folder() / "cuda"
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder / f"{key[:32]}.cubin"


def _compile(source: str, architecture: str) -> bytes:
    nvrtc, program = _nvrtc(), ctypes.c_void_p()
    options = [f"--gpu-architecture={architecture}".encode(), b"--std=c++17"]
    code = ctypes.c_char_p(source.encode())
    if nvrtc.nvrtcCreateProgram(ctypes.byref(program), code, b"kernels.cu", 0, None, None):
        raise CudaError("NVRTC cannot create a program.")
    try:
        array = (ctypes.c_char_p * len(options))(*options)
        if nvrtc.nvrtcCompileProgram(program, len(options), array):
            log = _read(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program)
            raise CudaError(f"NVRTC cannot compile the kernels: {log.decode()[:2_000]}")
        return _read(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program)
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _read(get_size: Any, get: Any, program: ctypes.c_void_p) -> bytes:
    size = ctypes.c_size_t()
    get_size(program, ctypes.byref(size))
    content = ctypes.create_string_buffer(size.value)
    get(program, content)
    return content.raw


def _to_c(value: Any) -> Any:
    if value is None or isinstance(value, Tensor):
        return ctypes.c_void_p(None if value is None else value.data_ptr())
    return ctypes.c_int(value) if isinstance(value, int) else ctypes.c_float(value)


def _check(code: int) -> None:
    if code:
        text = ctypes.c_char_p()
        _driver().cuGetErrorString(code, ctypes.byref(text))
        raise CudaError(f"CUDA error {code}: {(text.value or b'unknown').decode()}")


def _use_context() -> None:
    """Make torch's context the current one of this thread; autograd's threads may have none."""
    current = ctypes.c_void_p()
    _check(_driver().cuCtxGetCurrent(ctypes.byref(current)))
    if not current.value:
        _check(_driver().cuCtxSetCurrent(_context(torch.cuda.current_device())))


@functools.cache
def _context(number: int) -> ctypes.c_void_p:
    device, context = ctypes.c_int(), ctypes.c_void_p()
    _check(_driver().cuDeviceGet(ctypes.byref(device), number))
    _check(_driver().cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
    return context


@functools.cache
def _driver() -> Any:
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError as error:
        raise CudaError("the CUDA driver's library is missing.") from error


@functools.cache
def _nvrtc() -> Any:
    major, minor = (torch.version.cuda or "0.0").split(".")[:2]
    if sys.platform == "win32":
        names = [f"nvrtc64_{major}0_0.dll", f"nvrtc64_{major}{minor}_0.dll"]
    else:
        folders = [*site.getsitepackages(), *(path for path in sys.path if path)]
        names = [
            f"libnvrtc.so.{major}",
            *(
                path
                for folder in folders
                for path in glob.glob(f"{folder}/nvidia/*/lib/libnvrtc.so.{major}")
            ),
            f"/usr/local/cuda/lib64/libnvrtc.so.{major}",
        ]
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise CudaError("the library of NVRTC is missing.")
