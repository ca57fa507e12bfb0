// Where arrays lie and graphs run.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

struct DeviceProperties {
  std::string name;              ///< "NVIDIA H100 80GB HBM3"
  std::int64_t memory = 0;       ///< bytes in all
  std::int64_t memory_free = 0;  ///< bytes at this moment
  int compute_capability = 0;    ///< 90 for 9.0; 0 for the host
  int multiprocessors = 0;       ///< the host's: processors
};

/// The host with its processors and memory, or one of its NVIDIA GPUs.
class Device {
 public:
  enum class Kind : std::uint8_t { cpu, cuda };

  /// The host.
  constexpr Device() = default;
  static constexpr Device cpu() { return {}; }
  /// GPU `index`, as CUDA counts those that it sees.
  static constexpr Device cuda(int index = 0) { return {Kind::cuda, index}; }
  /// "cpu", "cuda" or "cuda:1". Throws RunError for other text.
  static Device parse(std::string_view text);

  /// The host, then the GPUs that can be used.
  static std::vector<Device> all();
  /// Why there is no GPU among them, in a line; empty when there is one.
  static std::string why_no_gpu();

  constexpr Kind kind() const { return kind_; }
  constexpr bool is_cpu() const { return kind_ == Kind::cpu; }
  constexpr int index() const { return index_; }
  std::string str() const;

  /// Throws RunError for a GPU that can't be used, as the following does.
  DeviceProperties properties() const;
  /// Returns when everything that was begun on it is done.
  void wait() const;

  friend constexpr auto operator<=>(const Device&, const Device&) = default;

 private:
  constexpr Device(Kind kind, int index) : kind_(kind), index_(index) {}
  Kind kind_ = Kind::cpu;
  int index_ = 0;
};

}  // namespace weft
