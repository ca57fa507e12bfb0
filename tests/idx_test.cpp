#include "file_testing.h"

#include <zlib.h>

namespace weft::idx_test {
namespace {

using testing::counting, testing::expect_equal, testing::expect_run_error, testing::Folder, testing::text_of;
using namespace std::string_literals;

std::string gzip(const std::string& content) {
  const Folder folder;
  gzFile file = gzopen((folder / "x.gz").c_str(), "wb");
  gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
  gzclose(file);
  return text_of(folder / "x.gz");
}

NDArray load(const std::string& content) {
  const Folder folder;
  return io::load_idx(folder.with("x-idx", content));
}

void refuse(const std::string& content, const std::string& part) {
  expect_run_error([&] { load(content); }, part);
}

const std::string labels = "\0\0\x08\x01\0\0\0\x05\x03\x01\x04\x01\x05"s;

TEST(Idx, ReadsAndWritesTheBytesOfMnistsLabels) {
  const NDArray expected = NDArray::of<std::uint8_t>({5}, {3, 1, 4, 1, 5});
  expect_equal(load(labels), expected);
  const Folder folder;
  io::save_idx(folder / "x", expected);
  EXPECT_EQ(text_of(folder / "x"), labels);
}

TEST(Idx, ElementsAreBigEndian) {
  expect_equal(load("\0\0\x0b\x02\0\0\0\x01\0\0\0\x02\x01\x02\xff\xfe"s), NDArray::of<std::int16_t>({1, 2}, {258, -2}));
  expect_equal(load("\0\0\x0d\x00\x3f\x80\0\0"s), NDArray::scalar(1.0f));
}

TEST(Idx, EveryTypeComesBackAsItWasSavedPlainAndCompressed) {
  const Folder folder;
  for (const DType dtype : {u8, i8, i16, i32, f32, f64})
    for (const Shape& shape : {Shape{}, Shape{5}, Shape{2, 3, 4}, Shape{0, 28, 28}})
      for (const char* name : {"x", "x.gz"}) {
        const NDArray a = counting(dtype, shape);
        io::save_idx(folder / name, a);
        expect_equal(io::load_idx(folder / name), a);
      }
  EXPECT_EQ(text_of(folder / "x.gz").substr(0, 2), "\x1f\x8b");
  const NDArray large = counting(i32, {300, 1000});
  io::save_idx(folder / "x.gz", large);
  expect_equal(io::load_idx(folder / "x.gz"), large);
}

TEST(Idx, CompressedFilesAreKnownByTheirContent) {
  expect_equal(load(gzip(labels)), NDArray::of<std::uint8_t>({5}, {3, 1, 4, 1, 5}));
  const std::string zeros = "\0\0\x08\x02\0\0\x03\xe8\0\0\x03\xe8"s + std::string(1000000, '\0');  // near deflate's largest ratio
  EXPECT_EQ(load(gzip(zeros)).shape(), (Shape{1000, 1000}));
}

TEST(Idx, OtherFilesAreRefused) {
  refuse("", "idx file");
  refuse("\0\0\x08"s, "is truncated, it ends inside the magic number");
  refuse("\0\1\x08\x01\0\0\0\0"s, "its magic number is wrong");
  refuse("\0\0\x0a\x01\0\0\0\0"s, "its magic number is wrong");
  refuse("\0\0\x08\x11"s + std::string(68, '\1'), "17 dimensions");
  refuse("\0\0\x08\x02\0\0\0\x05"s, "ends inside the sizes");
}

TEST(Idx, SizesThatLieAreRefusedWithoutMemoryForThem) {
  refuse(labels.substr(0, 12), "it ends inside the elements");
  refuse("\0\0\x08\x01\0\0\0\xff"s + labels, "they take more bytes than it can hold");
  refuse(labels + "x", "bytes follow the elements");
  refuse("\0\0\x08\x03\x7f\xff\xff\xff\x7f\xff\xff\xff\x7f\xff\xff\xff"s, "they take more bytes than it can hold");
  refuse("\0\0\x08\x03\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"s, "they take more bytes than it can hold");
  refuse(gzip("\0\0\x08\x01\xff\xff\xff\xff"s), "they take more bytes than it can hold");
  refuse(gzip(labels.substr(0, 12)), "its content ends inside the elements");
  refuse(gzip(labels + "x"), "bytes follow the elements");
}

TEST(Idx, BrokenCompressionIsRefused) {
  const std::string good = gzip(labels);
  refuse(good.substr(0, good.size() - 1), "its compressed data has no end");
  refuse(good + "x", "bytes follow its compressed data");
  std::string wrong_sum = good;
  wrong_sum[good.size() - 8] = static_cast<char>(wrong_sum[good.size() - 8] ^ 1);
  refuse(wrong_sum, "its compressed data is corrupt");
}

TEST(Idx, WhatTheFormatCannotHoldIsRefusedOnSave) {
  const Folder folder;
  expect_run_error([&] { io::save_idx(folder / "x", NDArray(u16, {2})); }, "the format has no u16");
  expect_run_error([&] { io::save_idx(folder / "x", NDArray(u8, {0, std::int64_t{1} << 32})); }, "don't fit 32 bits");
}

TEST(Idx, CorruptedFilesAreReadOrRefusedButNeverCrash) {
  const std::string images = "\0\0\x0b\x03\0\0\0\x02\0\0\0\x02\0\0\0\x01"s + "abcdefgh";
  EXPECT_GT(testing::sweep_corruptions(images, [](const auto& path) { io::load_idx(path); }), 150);
  EXPECT_GT(testing::sweep_corruptions(gzip(images), [](const auto& path) { io::load_idx(path); }), 300);
}

TEST(Idx, AFullDiskKeepsTheOldFile) {
  const NDArray large = counting(i32, {300, 1000});
  testing::expect_old_file_survives_a_full_disk([&](const auto& path) { io::save_idx(path, large); });
  const Folder folder;
  const auto path = folder.with("x.gz", "old");
  {
    const testing::FileSizeLimit limit(4096);
    expect_run_error([&] { io::save_idx(path, large); }, "can't be written: File too large");
  }
  EXPECT_EQ(text_of(path), "old");
}

}  // namespace
}  // namespace weft::idx_test
