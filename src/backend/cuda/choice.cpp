#include "backend/cuda/choice.h"

#include "compile/disk_cache.h"

#include <weft/error.h>
#include <weft/ndarray.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <sstream>
#include <utility>

namespace weft::cuda {
namespace {

/// Rounds of as many runs as take about this long, of which the quickest counts.
constexpr int rounds = 3;
constexpr double round_seconds = 2e-4;
constexpr double most_runs = 10;
/// Between a size and one whose choice serves for it.
constexpr double most_ratio = 4;

class Stopwatch {
 public:
  explicit Stopwatch(CUstream stream) : stream_(stream) {
    for (auto& e : events_) check(driver().cuEventCreate(&e, CU_EVENT_DEFAULT), "making an event");
  }
  ~Stopwatch() {
    for (auto e : events_) driver().cuEventDestroy(e);
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  template <class F> double seconds(int runs, F&& run) const {
    check(driver().cuEventRecord(events_[0], stream_), "timing a library");
    for (int i = 0; i < runs; ++i) run();
    check(driver().cuEventRecord(events_[1], stream_), "timing a library");
    check(driver().cuEventSynchronize(events_[1]), "timing a library");
    float milliseconds = 0;
    check(driver().cuEventElapsedTime(&milliseconds, events_[0], events_[1]), "timing a library");
    return 1e-3 * milliseconds / runs;
  }

 private:
  CUstream stream_;
  CUevent events_[2] = {};
};

/// Numbers near 0.01 or 1 of either sign in every type of floats, for which chips take as much power, and so as much time, as for a user's.
std::vector<std::uint16_t> numbers(std::size_t count, std::uint32_t state) {
  std::vector<std::uint16_t> list(count);
  for (auto& n : list) {
    state = state * 1664525u + 1013904223u;
    n = static_cast<std::uint16_t>(0x3c00 | (state >> 24) | (state >> 8 & 0x8000));
  }
  return list;
}

/// Memory for trying.
class Trial {
 public:
  Trial(Gpu& gpu, const Alternatives& a) : gpu_(gpu), watch_(gpu.stream()) {
    const auto take = [&](const std::vector<std::size_t>& sizes, std::vector<void*>& addresses) {
      for (auto bytes : sizes) {
        memory_.push_back(gpu.allocate(bytes, "trying ways to compute"));
        addresses.push_back(memory_.back().get());
        fill(memory_.back().get(), bytes, static_cast<std::uint32_t>(memory_.size()));
      }
    };
    take(a.operand_bytes, operands_);
    take(a.result_bytes, results_);
  }

  /// No more than needed to see that it takes longer than `best`.
  double seconds(const LibraryCall& call, double best) {
    if (call.scratch_bytes() > scratch_bytes_) {
      scratch_.reset();
      scratch_ = gpu_.allocate(call.scratch_bytes(), "trying ways to compute");
      scratch_bytes_ = call.scratch_bytes();
    }
    const auto run = [&] { call.enqueue(gpu_.stream(), operands_, results_, scratch_.get()); };
    run();  // loads its code
    double least = watch_.seconds(1, run);
    if (least > 2 * best) return least;
    const int runs = static_cast<int>(std::clamp(std::floor(round_seconds / least), 1.0, most_runs));
    for (int i = 0; i < rounds; ++i) least = std::min(least, watch_.seconds(runs, run));
    return least;
  }

  /// Whether the call's first result is the trusted one's. Of a large one, as much as is read in no time.
  bool agrees(const LibraryCall& call, const LibraryCall& trusted, const Alternatives& a) {
    const auto expected = result_of(trusted, a), got = result_of(call, a);
    const auto x = expected.elements<float>(), y = got.elements<float>();
    float largest = 0, difference = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (std::isnan(y[i])) return false;
      largest = std::max(largest, std::abs(x[i]));
      difference = std::max(difference, std::abs(x[i] - y[i]));
    }
    return difference <= a.most_difference * largest;
  }

 private:
  NDArray result_of(const LibraryCall& call, const Alternatives& a) {
    constexpr std::size_t most_bytes = std::size_t{32} << 20;
    auto scratch = gpu_.allocate(call.scratch_bytes(), "trying ways to compute");
    check(driver().cuMemsetD8Async(reinterpret_cast<CUdeviceptr>(results_[0]), 0xff, a.result_bytes[0], gpu_.stream()), "trying ways to compute");
    call.enqueue(gpu_.stream(), operands_, results_, scratch.get());
    NDArray host(a.result_dtype, {static_cast<std::int64_t>(std::min(a.result_bytes[0], most_bytes) / size_of(a.result_dtype))});
    copy(Device::cpu(), host.data(), Device::cuda(gpu_.index()), static_cast<const std::byte*>(results_[0]),
         static_cast<std::size_t>(host.byte_count()));
    return host.cast(f32);
  }

  /// The same numbers again and again; others for each array, since a sum of squares would hide a wrong sum of products.
  void fill(std::byte* memory, std::size_t bytes, std::uint32_t seed) {
    constexpr std::size_t most_numbers = std::size_t{1} << 18;
    const auto pattern = numbers(std::min(most_numbers, (bytes + 1) / 2), seed);
    std::size_t done = std::min(bytes, 2 * pattern.size());
    copy(Device::cuda(gpu_.index()), memory, Device::cpu(), std::as_bytes(std::span(pattern)).data(), done);
    for (std::size_t n = 0; done < bytes; done += n) {
      n = std::min(done, bytes - done);
      check(driver().cuMemcpyDtoDAsync(reinterpret_cast<CUdeviceptr>(memory + done), reinterpret_cast<CUdeviceptr>(memory), n, gpu_.stream()),
            "trying ways to compute");
    }
  }

  Gpu& gpu_;
  Stopwatch watch_;
  std::vector<std::shared_ptr<std::byte>> memory_;
  std::vector<void*> operands_, results_;
  std::shared_ptr<std::byte> scratch_;
  std::size_t scratch_bytes_ = 0;
};

Choice measured(Gpu& gpu, const Alternatives& a) {
  std::vector<Choice> tried;
  try {
    Trial trial(gpu, a);
    double best = std::numeric_limits<double>::infinity();
    for (const auto& name : a.names()) try {
        const auto call = a.make(name);
        if (!call) continue;
        tried.push_back({name, trial.seconds(*call, best), true});
        best = std::min(best, tried.back().seconds);
      } catch (const RunError&) {}  // it doesn't work, or there is no memory for it
    std::ranges::stable_sort(tried, {}, &Choice::seconds);
    const auto trusted = a.trusted.empty() ? nullptr : a.make(a.trusted);
    if (!a.trusted.empty() && !trusted) return {};
    for (const auto& choice : tried)
      if (!trusted || choice.name == a.trusted || trial.agrees(*a.make(choice.name), *trusted, a)) return choice;
  } catch (const RunError&) {}  // there is no memory to try any
  return {};
}

bool works(const Alternatives& a, const std::string& name) {
  try {
    return a.make(name) != nullptr;
  } catch (const RunError&) { return false; }
}

Choice first_that_works(const Alternatives& a) {
  if (!a.trusted.empty()) return {works(a, a.trusted) ? a.trusted : "", 0};
  for (const auto& name : a.names())
    if (works(a, name)) return {name, 0};
  return {};
}

/// What was found for the sizes that a problem came with.
struct Tried {
  std::vector<std::int64_t> sizes;
  Choice choice;
};
using Family = std::vector<Tried>;

/// A line each: sizes, seconds, the name.
std::vector<std::byte> packed(const Family& family) {
  std::ostringstream out;
  for (const auto& t : family) {
    out << t.sizes.size();
    for (auto n : t.sizes) out << ' ' << n;
    out << ' ' << t.choice.seconds << ' ' << t.choice.name << '\n';
  }
  const std::string text = out.str();
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

Family unpacked(const std::vector<std::byte>& bytes) {
  std::istringstream in(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  Family family;
  for (std::size_t count = 0; in >> count;) {
    Tried& t = family.emplace_back();
    for (t.sizes.resize(count); auto& n : t.sizes) in >> n;
    in >> t.choice.seconds >> std::ws;
    std::getline(in, t.choice.name);
  }
  return family;
}

/// How far the sizes are from those that were tried: 1 when they are the same, infinite when a choice for those says nothing of these.
double ratio(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
  double ratio = 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i]) continue;
    if (ratio != 1) return std::numeric_limits<double>::infinity();
    ratio = std::max(static_cast<double>(a[i]) / static_cast<double>(b[i]), static_cast<double>(b[i]) / static_cast<double>(a[i]));
  }
  return ratio <= most_ratio ? ratio : std::numeric_limits<double>::infinity();
}

std::optional<Choice> nearest(const Family& family, const Alternatives& a) {
  const auto distance = [&](const Tried& t) { return ratio(a.sizes, t.sizes); };
  const auto best = std::ranges::min_element(family, {}, distance);
  if (best == family.end() || !std::isfinite(distance(*best))) return std::nullopt;
  const bool was_tried = distance(*best) == 1;
  if (!(was_tried && a.believes_tried) && !works(a, best->choice.name)) return std::nullopt;
  return Choice{best->choice.name, best->choice.seconds, was_tried};
}

}  // namespace

Choice fastest(Gpu& gpu, const Alternatives& a, const LibraryOptions& options) {
  // One at a time: two that measure the same might choose differently, and would disturb each other. Making a way may ask for a choice of its own.
  static auto* mutex = new std::recursive_mutex;
  static auto* families = new std::map<std::string, Family>;
  static auto* compiled = new std::set<std::pair<std::string, std::vector<std::int64_t>>>;
  static const auto cache = DiskCache::of_user();
  std::unique_lock lock(*mutex);
  gpu.make_current();
  if (!options.measures) return options.only_compiles ? Choice{} : first_that_works(a);
  const GpuProperties& p = gpu.properties();
  const std::string key = a.problem + "\n" + p.name + " " + std::to_string(p.compute_capability) + " " + std::to_string(p.multiprocessors) +
                          " driver " + std::to_string(driver().version) + " workspace " + std::to_string(most_workspace());
  Family& family = (*families)[key];
  const auto is_known = [&] {
    return options.only_compiles && std::ranges::any_of(family, [&](const Tried& t) { return std::isfinite(ratio(a.sizes, t.sizes)); });
  };
  if (is_known()) return {};
  if (const auto found = options.only_compiles ? std::nullopt : nearest(family, a)) return *found;
  if (const auto bytes = cache ? cache->find(key) : std::nullopt)
    for (auto& t : unpacked(*bytes))
      if (std::ranges::find(family, t.sizes, &Tried::sizes) == family.end()) family.push_back(std::move(t));
  if (is_known()) return {};
  if (options.only_compiles) {
    const bool is_first = compiled->emplace(key, a.sizes).second;
    lock.unlock();
    if (is_first && a.compile) a.compile();
    return {};
  }
  if (const auto found = nearest(family, a)) return *found;
  Choice choice = measured(gpu, a);
  if (choice.name.empty()) return first_that_works(a);
  family.push_back({a.sizes, choice});
  if (cache) cache->keep(key, packed(family));
  return choice;
}

}  // namespace weft::cuda
