#include "backend/cuda/gpu.h"

#include "backend/cuda/compiler.h"
#include "backend/cuda/side_by_side.h"
#include "compile/disk_cache.h"

#include <weft/error.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <set>

namespace weft::cuda {
namespace {

/// Graphs of CUDA keep early starts from 12.3 on.
constexpr int first_with_early_starts = 12030;

std::atomic<std::size_t> compiled_so_far = 0;

/// Compute capability 8.0: Ampere, the oldest generation that has what generated kernels use.
constexpr int oldest_capability = 80;

std::string capability_text(int capability) { return std::to_string(capability / 10) + "." + std::to_string(capability % 10); }

int attribute(CUdevice device, CUdevice_attribute which) {
  int value = 0;
  check(driver().cuDeviceGetAttribute(&value, which, device), "asking about a device");
  return value;
}

GpuProperties properties_of(int index) {
  GpuProperties p;
  CUdevice device = 0;
  check(driver().cuDeviceGet(&device, index), "finding a device");
  char name[128] = "";
  check(driver().cuDeviceGetName(name, sizeof name, device), "asking about a device");
  p.name = name;
  check(driver().cuDeviceTotalMem(&p.memory, device), "asking about a device");
  p.compute_capability =
      10 * attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) + attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  p.multiprocessors = attribute(device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  // Bits of the bus, twice a clock.
  p.bandwidth = 2e3 / 8 * attribute(device, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE) * attribute(device, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
  p.shared_bytes_per_block = attribute(device, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  return p;
}

/// GPUs that are new enough come first where CUDA lists them by speed, so one that is not ends the list.
struct Probe {
  std::string refusal;
  int count = 0;
};

const Probe& probe() {
  static const Probe found = [] {
    Probe p{driver_probe().refusal};
    if (!p.refusal.empty()) return p;
    if (p.refusal = Compiler::instance().refusal(); !p.refusal.empty()) return p;
    int visible = 0;
    driver().cuDeviceGetCount(&visible);
    try {
      for (; p.count < visible; ++p.count) {
        const GpuProperties g = properties_of(p.count);
        if (g.compute_capability >= oldest_capability) continue;
        p.refusal = g.name + " has compute capability " + capability_text(g.compute_capability) + ", weft needs " +
                    capability_text(oldest_capability) + " or later";
        break;
      }
    } catch (const RunError& e) { p.refusal = e.what(); }
    if (p.count > 0) p.refusal.clear();
    return p;
  }();
  return found;
}

}  // namespace

const std::string& refusal() { return probe().refusal; }
int gpu_count() { return probe().count; }
std::size_t kernels_compiled() { return compiled_so_far; }

Gpu& Gpu::at(int index) {
  if (!refusal().empty()) throw RunError("cuda: " + refusal());
  if (index < 0 || index >= gpu_count())
    throw RunError("there is no device cuda:" + std::to_string(index) + ", the last is cuda:" + std::to_string(gpu_count() - 1));
  static std::mutex mutex;
  static auto* gpus = new std::map<int, std::unique_ptr<Gpu>>;
  const std::lock_guard lock(mutex);
  auto& gpu = (*gpus)[index];
  if (!gpu) gpu.reset(new Gpu(index));
  return *gpu;
}

Gpu::Gpu(int index) : index_(index), properties_(properties_of(index)), target_(Compiler::instance().target(properties_.compute_capability)) {
  CUdevice device = 0;
  check(driver().cuDeviceGet(&device, index), "finding a device");
  check(driver().cuDevicePrimaryCtxRetain(&context_, device), "starting a device, which takes some hundred megabytes of its memory");
  make_current();
  check(driver().cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), "making a queue");
  check(driver().cuEventCreate(&joint_, CU_EVENT_DISABLE_TIMING), "making an event");
  check(driver().cuDeviceGetDefaultMemPool(&pool_, device), "finding a device's memory");
  // What was freed stays for what comes next instead of going back to the system at each wait.
  cuuint64_t all = ~cuuint64_t{0};
  check(driver().cuMemPoolSetAttribute(pool_, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &all), "finding a device's memory");
}

void Gpu::make_current() const {
  CUcontext current = nullptr;
  if (driver().cuCtxGetCurrent(&current) == CUDA_SUCCESS && current == context_) return;
  check(driver().cuCtxSetCurrent(context_), "choosing a device");
}

void Gpu::wait() const {
  make_current();
  check(driver().cuStreamSynchronize(stream_), "waiting for a device");
}

void Gpu::follow(CUstream stream) {
  make_current();
  CUstreamCaptureStatus capturing = CU_STREAM_CAPTURE_STATUS_NONE;
  check(driver().cuStreamIsCapturing(stream, &capturing), "asking about a stream");
  if (capturing != CU_STREAM_CAPTURE_STATUS_NONE) throw RunError("the stream is being captured: a run can't become part of a graph of the caller's");
  const std::lock_guard lock(joint_mutex_);
  check(driver().cuEventRecord(joint_, stream), "waiting for a stream");
  check(driver().cuStreamWaitEvent(stream_, joint_, 0), "waiting for a stream");
}

void Gpu::precede(CUstream stream) {
  make_current();
  const std::lock_guard lock(joint_mutex_);
  check(driver().cuEventRecord(joint_, stream_), "letting a stream wait");
  check(driver().cuStreamWaitEvent(stream, joint_, 0), "letting a stream wait");
}

namespace {

struct EventMark final : GpuMark {
  EventMark() { check(driver().cuEventCreate(&event, CU_EVENT_DISABLE_TIMING), "making an event"); }
  ~EventMark() override { driver().cuEventDestroy(event); }
  EventMark(const EventMark&) = delete;
  EventMark& operator=(const EventMark&) = delete;
  CUevent event = nullptr;
};

}  // namespace

std::shared_ptr<GpuMark> Gpu::mark() {
  make_current();
  auto mark = std::make_shared<EventMark>();
  check(driver().cuEventRecord(mark->event, stream_), "marking a point in a queue");
  return mark;
}

void Gpu::follow(const GpuMark& mark) {
  make_current();
  check(driver().cuStreamWaitEvent(stream_, static_cast<const EventMark&>(mark).event, 0), "waiting for another device");
}

std::size_t Gpu::free_memory() const {
  make_current();
  std::size_t free = 0, all = 0;
  check(driver().cuMemGetInfo(&free, &all), "asking for free memory");
  // The pool holds memory that nobody uses.
  cuuint64_t held = 0, used = 0;
  driver().cuMemPoolGetAttribute(pool_, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, &held);
  driver().cuMemPoolGetAttribute(pool_, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &used);
  return free + static_cast<std::size_t>(held - std::min(used, held));
}

std::shared_ptr<std::byte> Gpu::allocate(std::size_t bytes, const std::string& for_what) {
  make_current();
  CUdeviceptr memory = 0;
  const std::size_t taken = std::max<std::size_t>(bytes, 1);
  CUresult result = driver().cuMemAllocFromPoolAsync(&memory, taken, pool_, stream_);
  if (result == CUDA_ERROR_OUT_OF_MEMORY) {
    // Blocks that are free but too small stand in the way.
    driver().cuStreamSynchronize(stream_);
    driver().cuMemPoolTrimTo(pool_, 0);
    result = driver().cuMemAllocFromPoolAsync(&memory, taken, pool_, stream_);
  }
  if (result == CUDA_ERROR_OUT_OF_MEMORY)
    throw RunError("out of memory on cuda:" + std::to_string(index_) + ": " + std::to_string(bytes) + " bytes are wanted for " + for_what + ", " +
                   std::to_string(free_memory()) + " of " + std::to_string(properties_.memory) + " are free");
  check(result, "taking memory");
  return {reinterpret_cast<std::byte*>(memory), [this](std::byte* p) {
            // While the process ends the driver may be gone, and all memory with it.
            CUcontext current = nullptr;
            if (driver().cuCtxGetCurrent(&current) != CUDA_SUCCESS) return;
            if (current != context_) driver().cuCtxSetCurrent(context_);
            driver().cuMemFreeAsync(reinterpret_cast<CUdeviceptr>(p), stream_);
          }};
}

void Gpu::clear(std::byte* memory, std::size_t bytes) {
  make_current();
  if (bytes > 0) check(driver().cuMemsetD8Async(reinterpret_cast<CUdeviceptr>(memory), 0, bytes, stream_), "clearing memory");
}

void copy(Device to_device, std::byte* to, Device from_device, const std::byte* from, std::size_t bytes) {
  if (bytes == 0) return;
  const auto to_address = reinterpret_cast<CUdeviceptr>(to), from_address = reinterpret_cast<CUdeviceptr>(from);
  if (to_device.is_cpu()) {
    const Gpu& gpu = Gpu::at(from_device.index());
    gpu.make_current();
    check(driver().cuMemcpyDtoHAsync(to, from_address, bytes, gpu.stream()), "copying to the host");
    return gpu.wait();
  }
  Gpu& gpu = Gpu::at(to_device.index());
  if (!from_device.is_cpu() && from_device != to_device) return gpu.copy_from(Gpu::at(from_device.index()), to, from, bytes);
  gpu.make_current();
  if (from_device.is_cpu()) {
    // The driver has read pageable memory when it returns; the GPU reads pinned memory later.
    check(driver().cuMemcpyHtoDAsync(to_address, from, bytes, gpu.stream()), "copying from the host");
    gpu.wait();
  } else {
    check(driver().cuMemcpyAsync(to_address, from_address, bytes, gpu.stream()), "copying");
  }
}

void Gpu::copy_from(Gpu& other, std::byte* to, const std::byte* from, std::size_t bytes) {
  other.wait();
  make_current();
  // Memory of a pool is for its own GPU until others are let in.
  int reaches = 0;
  driver().cuDeviceCanAccessPeer(&reaches, index_, other.index_);
  const CUmemAccessDesc access{{CU_MEM_LOCATION_TYPE_DEVICE, index_}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  if (reaches && driver().cuMemPoolSetAccess(other.pool_, &access, 1) == CUDA_SUCCESS &&
      driver().cuMemcpyPeerAsync(reinterpret_cast<CUdeviceptr>(to), context_, reinterpret_cast<CUdeviceptr>(from), other.context_, bytes, stream_) ==
          CUDA_SUCCESS)
    return wait();
  constexpr std::size_t most = std::size_t{64} << 20;
  const auto between = allocate_pinned(std::min(bytes, most));
  if (!between) throw RunError("out of memory: there is no pinned host memory to copy through from one device to another");
  for (std::size_t done = 0; done < bytes; done += most) {
    const std::size_t part = std::min(bytes - done, most);
    copy(Device::cpu(), between.get(), Device::cuda(other.index_), from + done, part);
    copy(Device::cuda(index_), to + done, Device::cpu(), between.get(), part);
  }
}

CUfunction Gpu::load_one(const Source& source, bool& was_compiled) {
  static const auto cache = DiskCache::of_user();
  const Compiler& compiler = Compiler::instance();
  std::string key = std::string(source.entry) + " " + target_ + "\nnvrtc " + compiler.version() + "\n";
  for (const char* flag : compile_flags) key += std::string(flag) + "\n";
  key += source.text;

  make_current();
  CUmodule module = nullptr;
  auto code = cache ? cache->find(key) : std::nullopt;
  // Code that doesn't load is compiled anew: another driver may have left it.
  if (!code || driver().cuModuleLoadData(&module, code->data()) != CUDA_SUCCESS) {
    code = compiler.compile(std::string(source.text), target_);
    was_compiled = true;
    ++compiled_so_far;
    check(driver().cuModuleLoadData(&module, code->data()), "loading a kernel");
    if (cache) cache->keep(key, *code);
  }
  CUfunction function = nullptr;
  check(driver().cuModuleGetFunction(&function, module, std::string(source.entry).c_str()), "loading a kernel");
  // Asking anything of a function has the driver load it at once instead of when it is first started.
  if (source.shared_bytes > 0)
    check(driver().cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, static_cast<int>(source.shared_bytes)),
          "giving a kernel shared memory");
  return function;
}

Gpu::Grid Gpu::shared_out(Grid grid) const {
  // As much of it as a block can have, and what each takes besides, is all that a multiprocessor has.
  constexpr unsigned besides = 1024, unit = 16;
  const auto most = static_cast<unsigned>(properties_.shared_bytes_per_block), multiprocessors = static_cast<unsigned>(properties_.multiprocessors);
  const unsigned blocks = grid.blocks[0] * grid.blocks[1] * grid.blocks[2], each = (blocks + multiprocessors - 1) / multiprocessors;
  grid.follows_itself = each * (grid.shared_bytes + besides) <= most + besides;
  if (grid.follows_itself) grid.shared_bytes = std::max(grid.shared_bytes, std::min((most + besides) / (each + 1) / unit * unit, most));
  return grid;
}

void Gpu::start(CUfunction function, const Grid& grid, CUstream stream, void** parameters, const char* doing) const {
  CUlaunchAttribute attributes[2] = {};
  CUlaunchConfig config{};
  config.gridDimX = grid.blocks[0], config.gridDimY = grid.blocks[1], config.gridDimZ = grid.blocks[2];
  config.blockDimX = grid.threads, config.blockDimY = 1, config.blockDimZ = 1;
  config.sharedMemBytes = grid.shared_bytes;
  config.hStream = stream;
  config.attrs = attributes;
  if (grid.follows_itself && properties_.compute_capability >= 90 && driver().version >= first_with_early_starts) {
    attributes[config.numAttrs].id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
    attributes[config.numAttrs++].value.programmaticStreamSerializationAllowed = 1;
  }
  if (grid.cluster > 1) {
    attributes[config.numAttrs].id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
    attributes[config.numAttrs++].value.clusterDim = {1, 1, grid.cluster};
  }
  check(driver().cuLaunchKernelEx(&config, function, parameters, nullptr), doing);
}

std::vector<Gpu::Function> Gpu::load(std::span<const Source> sources) {
  std::vector<Function> result(sources.size());
  std::vector<std::size_t> missing;
  {
    const std::lock_guard lock(mutex_);
    std::set<std::string_view> seen;
    for (std::size_t i = 0; i < sources.size(); ++i)
      if (!functions_.contains(sources[i].text) && seen.insert(sources[i].text).second) missing.push_back(i);
  }
  side_by_side(missing.size(), [&](std::size_t k) {
    const std::size_t i = missing[k];
    const CUfunction function = load_one(sources[i], result[i].was_compiled);
    const std::lock_guard lock(mutex_);
    functions_.emplace(sources[i].text, function);
  });

  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < sources.size(); ++i) result[i].handle = functions_.find(sources[i].text)->second;
  return result;
}

std::size_t most_workspace() {
  static const std::size_t bytes = [] {
    const char* text = std::getenv("WEFT_CUDA_WORKSPACE");
    char* end = nullptr;
    const auto mebibytes = text ? std::strtoull(text, &end, 10) : 0;
    return (text && end != text ? static_cast<std::size_t>(mebibytes) : 256) << 20;
  }();
  return bytes;
}

std::shared_ptr<std::byte> allocate_pinned(std::size_t bytes) {
  void* memory = nullptr;
  if (driver().cuMemHostAlloc(&memory, std::max<std::size_t>(bytes, 1), CU_MEMHOSTALLOC_PORTABLE) != CUDA_SUCCESS) return nullptr;
  return {static_cast<std::byte*>(memory), [](std::byte* p) { driver().cuMemFreeHost(p); }};
}

}  // namespace weft::cuda
