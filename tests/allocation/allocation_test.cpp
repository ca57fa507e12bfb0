// Runs like one before allocate nothing. malloc and its kin are replaced by ones that count.
#include <weft/weft.h>

#include <gtest/gtest.h>

#include <dlfcn.h>
#include <execinfo.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <string_view>
#include <vector>

namespace {

std::atomic<bool> counts{false};
std::atomic<int> allocations{0};

/// oneDNN keeps books of its own in each call.
bool is_within_onednn() {
  std::array<void*, 24> frames{};
  const int n = backtrace(frames.data(), static_cast<int>(frames.size()));
  for (int i = 0; i < n; ++i) {
    Dl_info info{};
    if (dladdr(frames[static_cast<std::size_t>(i)], &info) && info.dli_fname &&
        std::string_view(info.dli_fname).find("dnnl") != std::string_view::npos)
      return true;
  }
  return false;
}

void count() {
  if (!counts.load(std::memory_order_relaxed)) return;
  thread_local bool inside = false;
  if (inside) return;
  inside = true;
  if (!is_within_onednn()) ++allocations;
  inside = false;
}

}  // namespace

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) {
  count();
  return __libc_malloc(bytes);
}
void* calloc(std::size_t n, std::size_t bytes) {
  count();
  return __libc_calloc(n, bytes);
}
void* realloc(void* p, std::size_t bytes) {
  count();
  return __libc_realloc(p, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) {
  count();
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  count();
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** p, std::size_t alignment, std::size_t bytes) {
  count();
  *p = __libc_memalign(alignment, bytes);
  return *p ? 0 : ENOMEM;
}
}

namespace weft {
namespace {

template <class F> int allocations_in(const F& f) {
  std::array<void*, 4> warm{};
  backtrace(warm.data(), 4);  // loads the unwinder
  allocations = 0;
  counts = true;
  f();
  counts = false;
  return allocations;
}

TEST(Allocations, AreCounted) {
  void* volatile p = nullptr;
  EXPECT_EQ(allocations_in([&] { p = ::operator new(100); }), 1);
  ::operator delete(p);
  EXPECT_GT(allocations_in([] { const NDArray a(f32, {1000}); }), 0);
}

TEST(Allocations, ThereAreNoneInRepeatedInference) {
  Graph g;
  const Tensor x = g.placeholder({64, 300}, f32, "x"), w = g.variable(init::glorot({300, 50})), b = g.variable(init::zeros({50}));
  const Tensor y = softmax(relu(matmul(x, w) + b), -1), best = argmax(y, -1);
  const Executable e = g.compile({{x, {f32, {64, 300}}}}, {y, best}, {});
  const std::vector<TensorData> feeds{NDArray(f32, {64, 300})};
  std::vector<TensorData> results{NDArray(e.output_types()[0]), NDArray(e.output_types()[1])};
  e.run(feeds, results);
  EXPECT_EQ(allocations_in([&] {
              for (int i = 0; i < 10; ++i) e.run(feeds, results);
            }),
            0);
}

TEST(Allocations, ThereAreNoneInRepeatedTrainingSteps) {
  Graph g;
  const Tensor x = g.placeholder({16, 12, 12, 3}, f32, "x"), labels = g.placeholder({16, 5}, f32, "labels");
  const Tensor w = g.variable(init::he({3, 3, 3, 8})), v = g.variable(init::he({288, 5}));
  const Tensor y = matmul(reshape(max_pool2d(relu(conv2d(x, w, {.padding = Padding::same})), {2, 2}), {16, 288}), v);
  const Tensor loss = softmax_cross_entropy(y, labels, Reduction::mean);
  const auto updates = adam(g.variables(), g.gradients(loss, g.variables()), 0.01f);
  const std::vector<FeedType> types{{x, {f32, {16, 12, 12, 3}}}, {labels, {f32, {16, 5}}}};
  const Executable e = g.compile(types, std::vector{loss}, updates);
  std::vector<TensorData> feeds, results{NDArray(f32, {})};
  for (const auto& f : e.feeds()) feeds.emplace_back(NDArray(f.type));
  e.run(feeds, results);
  e.run(feeds, results);
  EXPECT_EQ(allocations_in([&] {
              for (int i = 0; i < 10; ++i) e.run(feeds, results);
            }),
            0);
}

TEST(Allocations, ThereAreNoneForArraysThatAreNotDense) {
  Graph g;
  const Tensor x = g.placeholder({30, 20}, f32, "x"), y = exp(x);
  const Executable e = g.compile({{x, {f32, {30, 20}}}}, {y}, {});
  const std::vector<TensorData> feeds{NDArray(f32, {20, 30}).transpose(0, 1)};
  std::vector<TensorData> results{NDArray(f32, {20, 30}).transpose(0, 1)};
  e.run(feeds, results);
  EXPECT_EQ(allocations_in([&] { e.run(feeds, results); }), 0);
}

}  // namespace
}  // namespace weft
