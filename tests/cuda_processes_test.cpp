// Processes that share the folder of kernels and choices, and what a new one has to do that finds it full.
#include "backend/cuda/compiler.h"
#include "compile/backend.h"
#include "compile/disk_cache.h"

#include "file_testing.h"

#include <weft/weft.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace weft::cuda_processes_test {
namespace {

/// What `CudaProcess.MultipliesForAnother` prints, when the test program runs it for another test.
constexpr const char* mark = "product: ";

TEST(CudaProcess, MultipliesForAnother) {
  if (!std::getenv("WEFT_TEST_PRODUCT")) GTEST_SKIP() << "is for other tests, which run it in processes of their own";
  Graph g;
  const Tensor a = g.placeholder({384, 500}, f32), b = g.placeholder({500, 256}, f32), y = relu(matmul(a, b) - 1.0f);
  NDArray x(f32, {384, 500}), w(f32, {500, 256});
  for (auto* array : {&x, &w}) {
    auto elements = array->elements<float>();
    for (std::size_t i = 0; i < elements.size(); ++i) elements[i] = static_cast<float>((i * 2654435761u >> 12) % 1000) / 333 - 1.5f;
  }
  const NDArray got = g.run({{a, x}, {b, w}}, {y}, {}, {.backend = Backend::cuda})[0];
  std::uint64_t bits = 0;
  for (const float f : got.elements<float>()) bits = bits * 31 + std::bit_cast<std::uint32_t>(f);
  std::printf("%s%llx compiled %zu, nvrtc %s\n", mark, static_cast<unsigned long long>(bits), kernels_compiled(),
              cuda::Compiler::instance().is_loaded() ? "loaded" : "not loaded");
}

class CudaProcesses : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = why_not(Backend::cuda); !why.empty()) GTEST_SKIP() << why;
    cache_.clear();
  }

  /// What processes print that multiply at the same time.
  std::vector<std::string> multiply(std::size_t processes) const {
    const std::string command = "env -u GTEST_TOTAL_SHARDS -u GTEST_SHARD_INDEX WEFT_TEST_PRODUCT=1 WEFT_CACHE_DIR='" + cache_.folder().string() +
                                "' '" + std::filesystem::read_symlink("/proc/self/exe").string() +
                                "' --gtest_filter=CudaProcess.MultipliesForAnother";
    std::vector<std::FILE*> pipes;
    for (std::size_t i = 0; i < processes; ++i) pipes.push_back(::popen(command.c_str(), "r"));
    std::vector<std::string> lines;
    for (auto* pipe : pipes) {
      std::string line;
      for (char text[256]; std::fgets(text, sizeof text, pipe);)
        if (std::string_view(text).starts_with(mark)) line = text;
      EXPECT_EQ(::pclose(pipe), 0);
      lines.push_back(line);
    }
    return lines;
  }
  /// The choice of a product's kernel.
  std::vector<DiskCache::Entry> choices() const {
    auto entries = cache_.entries();
    std::erase_if(entries, [](const auto& e) { return !e.title.starts_with("matmul"); });
    return entries;
  }
  static std::string product_of(const std::string& line) { return line.substr(0, line.find(" compiled")); }

  testing::Folder folder_;
  const DiskCache cache_{folder_ / "kernels"};
};

TEST_F(CudaProcesses, ThatBeginTogetherLeaveOneWholeChoice) {
  for (const auto& line : multiply(4)) EXPECT_TRUE(line.starts_with(mark)) << line;
  ASSERT_EQ(choices().size(), 1u);
  EXPECT_TRUE(choices()[0].is_whole);
  // From now on all compute the same bits.
  const auto lines = multiply(4);
  for (const auto& line : lines) EXPECT_EQ(product_of(line), product_of(lines[0]));
}

TEST_F(CudaProcesses, ThatFindEverythingOnDiskDoNotLoadTheCompiler) {
  EXPECT_NE(multiply(1)[0].find("nvrtc loaded"), std::string::npos);
  const std::string line = multiply(1)[0];
  EXPECT_NE(line.find("compiled 0, nvrtc not loaded"), std::string::npos) << line;
}

TEST_F(CudaProcesses, ThatFindADamagedChoiceMakeItAnew) {
  multiply(1);
  ASSERT_EQ(choices().size(), 1u);
  const auto file = choices()[0].file;
  for (const bool is_cut : {true, false}) {
    if (is_cut) std::filesystem::resize_file(file, std::filesystem::file_size(file) - 5);
    else std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).seekp(-3, std::ios::end).put('~');
    EXPECT_FALSE(std::ranges::all_of(cache_.entries(), &DiskCache::Entry::is_whole));
    EXPECT_TRUE(multiply(1)[0].starts_with(mark));
    EXPECT_TRUE(std::ranges::all_of(cache_.entries(), &DiskCache::Entry::is_whole));
  }
}

}  // namespace
}  // namespace weft::cuda_processes_test
