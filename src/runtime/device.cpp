#include <weft/device.h>

#include "compile/backend.h"

#include <weft/error.h>

#include <charconv>
#include <thread>

#include <unistd.h>

namespace weft {

Device Device::parse(std::string_view text) {
  if (text == "cpu") return cpu();
  if (text == "cuda") return cuda();
  int index = -1;
  if (text.starts_with("cuda:")) {
    const char* const end = text.data() + text.size();
    if (const auto [at, error] = std::from_chars(text.data() + 5, end, index); at != end || error != std::errc{}) index = -1;
  }
  if (index < 0) throw RunError("there is no device \"" + std::string(text) + "\", expects cpu, cuda or cuda:INDEX");
  return cuda(index);
}

std::vector<Device> Device::all() {
  std::vector<Device> list{cpu()};
  for (int i = 0; i < gpu_count(); ++i) list.push_back(cuda(i));
  return list;
}

std::string Device::why_no_gpu() { return gpu_refusal(); }

std::string Device::str() const { return is_cpu() ? "cpu" : "cuda:" + std::to_string(index_); }

DeviceProperties Device::properties() const {
  if (!is_cpu()) return gpu_properties(index_);
  const std::int64_t page = ::sysconf(_SC_PAGESIZE);
  return {"the host", page * ::sysconf(_SC_PHYS_PAGES), page * ::sysconf(_SC_AVPHYS_PAGES), 0,
          static_cast<int>(std::max(1u, std::thread::hardware_concurrency()))};
}

void Device::wait() const {
  if (!is_cpu()) wait_for_gpu(index_);
}

}  // namespace weft
