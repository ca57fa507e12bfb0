// The CUDA driver's functions, found when the program runs. The one place where cuda.h enters.
#pragma once

#include <cuda.h>

#include <string>

namespace weft::cuda {

// All are as they were in CUDA 12.0, the oldest driver that serves.
// clang-format off
#define WEFT_CUDA_FUNCTIONS(F) \
  F(cuCtxGetCurrent) F(cuCtxSetCurrent) F(cuDeviceCanAccessPeer) F(cuDeviceGet) F(cuDeviceGetAttribute) F(cuDeviceGetCount) F(cuDeviceGetDefaultMemPool) \
  F(cuDeviceGetName) F(cuDevicePrimaryCtxRetain) F(cuDeviceTotalMem) F(cuEventCreate) F(cuEventDestroy) F(cuEventElapsedTime) \
  F(cuEventRecord) F(cuEventRecordWithFlags) F(cuEventSynchronize) F(cuFuncSetAttribute) F(cuGetErrorName) F(cuGetErrorString) F(cuGraphDestroy) F(cuGraphExecDestroy) \
  F(cuGraphInstantiateWithFlags) F(cuGraphLaunch) F(cuGraphUpload) F(cuInit) F(cuLaunchKernel) F(cuLaunchKernelEx) F(cuMemAllocFromPoolAsync) F(cuMemFreeAsync) \
  F(cuMemFreeHost) F(cuMemGetInfo) F(cuMemHostAlloc) F(cuMemPoolSetAttribute) F(cuMemPoolGetAttribute) F(cuMemPoolSetAccess) F(cuMemPoolTrimTo) F(cuMemcpyAsync) \
  F(cuMemcpyDtoDAsync) F(cuMemcpyDtoHAsync) F(cuMemcpyHtoDAsync) F(cuMemcpyPeerAsync) F(cuMemsetD8Async) F(cuModuleGetFunction) \
  F(cuModuleLoadData) F(cuStreamBeginCapture) F(cuStreamCreate) F(cuStreamDestroy) F(cuStreamEndCapture) F(cuStreamIsCapturing) F(cuStreamSynchronize) F(cuStreamWaitEvent)
// clang-format on

struct Driver {
#define WEFT_CUDA_MEMBER(name) decltype(&::name) name = nullptr;
  WEFT_CUDA_FUNCTIONS(WEFT_CUDA_MEMBER)
#undef WEFT_CUDA_MEMBER
  int version = 0;  ///< 13000 for CUDA 13.0
};

/// Looked for once. Where it can't be used, why: "there is no NVIDIA driver (libcuda.so.1)".
struct DriverProbe {
  Driver functions;
  std::string refusal;
};
const DriverProbe& driver_probe();

/// Of a machine that has one.
inline const Driver& driver() { return driver_probe().functions; }

/// Throws a RunError that says what was being done and what the driver says; nothing for CUDA_SUCCESS.
void check(CUresult result, const char* doing);

}  // namespace weft::cuda
