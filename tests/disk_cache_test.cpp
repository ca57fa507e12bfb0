// Compiled kernels on disk.
#include "compile/disk_cache.h"

#include "file_testing.h"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

namespace weft::disk_cache_test {
namespace {

namespace fs = std::filesystem;

std::vector<std::byte> code(std::size_t bytes, int seed = 0) {
  std::vector<std::byte> c(bytes);
  for (std::size_t i = 0; i < bytes; ++i) c[i] = static_cast<std::byte>(i * 7 + static_cast<std::size_t>(seed));
  return c;
}

fs::path only_file(const DiskCache& cache) { return cache.entries().at(0).file; }

class DiskCacheTest : public ::testing::Test {
 protected:
  testing::Folder folder_;
  DiskCache cache_{folder_ / "kernels"};
};

TEST_F(DiskCacheTest, WhatIsKeptIsFound) {
  EXPECT_EQ(cache_.find("gelu sm_90a"), std::nullopt);
  cache_.keep("gelu sm_90a", code(1000));
  EXPECT_EQ(cache_.find("gelu sm_90a"), code(1000));
  EXPECT_EQ(cache_.find("gelu sm_80"), std::nullopt);
  EXPECT_EQ(DiskCache(folder_ / "kernels").find("gelu sm_90a"), code(1000));
}

TEST_F(DiskCacheTest, AChangedByteMakesAnEntryWorthless) {
  cache_.keep("gelu\nrest of the key", code(1000));
  const auto size = fs::file_size(only_file(cache_));
  for (std::uintmax_t at = 0; at < size; at += 13) {
    cache_.keep("gelu\nrest of the key", code(1000));
    std::fstream file(only_file(cache_), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const int changed = file.get() ^ 0x10;
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(changed));
    file.close();
    EXPECT_EQ(cache_.find("gelu\nrest of the key"), std::nullopt) << "byte " << at;
  }
  EXPECT_FALSE(cache_.entries().at(0).is_whole);
  cache_.keep("gelu\nrest of the key", code(1000));
  EXPECT_EQ(cache_.find("gelu\nrest of the key"), code(1000));
  EXPECT_EQ(cache_.entries().at(0).title, "gelu");
}

TEST_F(DiskCacheTest, ATruncatedEntryIsWorthless) {
  cache_.keep("key", code(500));
  for (auto bytes = fs::file_size(only_file(cache_)); bytes-- > 0;) {
    fs::resize_file(only_file(cache_), bytes);
    ASSERT_EQ(cache_.find("key"), std::nullopt) << bytes << " bytes left";
  }
}

TEST_F(DiskCacheTest, AFileOfAnotherKeyIsNotTaken) {
  cache_.keep("one", code(100));
  const auto one = only_file(cache_);
  cache_.keep("two", code(200));
  for (const auto& e : cache_.entries())
    if (e.file != one) fs::copy_file(one, e.file, fs::copy_options::overwrite_existing);
  EXPECT_EQ(cache_.find("two"), std::nullopt);
  EXPECT_EQ(cache_.find("one"), code(100));
}

TEST_F(DiskCacheTest, TheLeastRecentlyUsedGoWhenThereIsTooMuch) {
  const DiskCache small(folder_ / "small", 10'000);
  auto age = [&](const std::string& title, int hours) {
    for (const auto& e : small.entries())
      if (e.title == title) fs::last_write_time(e.file, fs::file_time_type::clock::now() - std::chrono::hours(hours));
  };
  for (int i = 0; i < 4; ++i) {
    small.keep("k" + std::to_string(i), code(2000));
    age("k" + std::to_string(i), 10 - i);
  }
  ASSERT_TRUE(small.find("k0"));
  small.keep("k4", code(2500));
  EXPECT_TRUE(small.find("k0"));
  EXPECT_FALSE(small.find("k1"));
  EXPECT_TRUE(small.find("k4"));
}

TEST_F(DiskCacheTest, SeveralWritersLeaveWholeEntries) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      const DiskCache own(folder_ / "kernels");
      for (int i = 0; i < 20; ++i) {
        own.keep("shared", code(3000, t));
        const auto found = own.find("shared");
        ASSERT_TRUE(found);
        EXPECT_EQ(*found, code(3000, static_cast<int>((*found)[0])));
      }
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(cache_.entries().size(), 1u);
  EXPECT_EQ(cache_.clear(), 1u);
  EXPECT_TRUE(cache_.entries().empty());
}

TEST_F(DiskCacheTest, AFolderThatCantBeWrittenIsNoError) {
  const DiskCache nowhere("/proc/nothing/here");
  nowhere.keep("key", code(10));
  EXPECT_EQ(nowhere.find("key"), std::nullopt);
  EXPECT_TRUE(nowhere.entries().empty());
}

}  // namespace
}  // namespace weft::disk_cache_test
