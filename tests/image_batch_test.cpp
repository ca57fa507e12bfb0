#include "file_testing.h"

#include <weft/primitives/image_batch.h>

#include <cmath>
#include <limits>

namespace weft::image_batch_test {
namespace {

using testing::counting, testing::expect_equal, testing::expect_run_error, testing::Folder;

/// Every value of an integer type as one image.
template <class T> ImageBatch all_values() {
  constexpr int n = std::numeric_limits<T>::max() + 1;
  NDArray image(dtype_of<T>, {n / 16, 4, 4});
  int next = 0;
  for (auto& e : image.elements<T>()) e = static_cast<T>(next++);
  return ImageBatch(image);
}

std::vector<Device> devices() { return Device::all(); }

template <class T> std::vector<T> elements(const NDArray& array) {
  const NDArray host = array.to(Device::cpu()).dense();
  return {host.elements<T>().begin(), host.elements<T>().end()};
}

TEST(ImageBatch, IntegersStandForZeroToOne) {
  const NDArray values = ImageBatch(NDArray::of<std::uint8_t>({1, 3}, {0, 51, 255})).values();
  EXPECT_EQ(values.type().str(), "f32[1,1,3,1]");
  EXPECT_EQ(elements<float>(values), (std::vector<float>{0, 0.2f, 1}));
  EXPECT_EQ(elements<float>(ImageBatch(NDArray::of<std::uint16_t>({1, 3}, {0, 13107, 65535})).values()), (std::vector<float>{0, 0.2f, 1}));
  EXPECT_EQ(ImageBatch(NDArray(u8, {2, 3, 4})).tensor_data(bf16).type().str(), "bf16[1,2,3,4]");
}

TEST(ImageBatch, FloatsRoundAndSaturateAndNaNIsZero) {
  constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const Device device : devices()) {
    const NDArray values = NDArray::of<float>({1, 10}, {-0.1f, -inf, nan, -nan, 0.0019f, 0.002f, 0.5f, 0.999f, 1.5f, inf}).to(device);
    EXPECT_EQ(elements<std::uint8_t>(ImageBatch::of(values, u8).pixels()), (std::vector<std::uint8_t>{0, 0, 0, 0, 0, 1, 128, 255, 255, 255}));
    EXPECT_EQ(elements<std::uint16_t>(ImageBatch::of(values, u16).pixels()),
              (std::vector<std::uint16_t>{0, 0, 0, 0, 125, 131, 32768, 65469, 65535, 65535}));
  }
}

TEST(ImageBatch, ComesBackFromFloatsAsItWas) {
  const ImageBatch narrow = all_values<std::uint8_t>(), wide = all_values<std::uint16_t>();
  for (const DType dtype : {f16, f32, f64}) expect_equal(ImageBatch::of(narrow.values(dtype), u8).pixels(), narrow.pixels());
  expect_equal(ImageBatch::of(wide.values(), u16).pixels(), wide.pixels());
  expect_equal(narrow.to(u16).to(u8).pixels(), narrow.pixels());
}

TEST(ImageBatch, SixteenBitsBecomeTheNearestOfEight) {
  const ImageBatch wide = all_values<std::uint16_t>();
  const auto narrow = elements<std::uint8_t>(wide.to(u8).pixels());
  for (std::size_t v = 0; v < narrow.size(); ++v) ASSERT_EQ(narrow[v], std::lround(static_cast<double>(v) / 257)) << v;
}

TEST(ImageBatch, EveryDeviceGivesTheSameBits) {
  for (const Device device : devices()) {
    if (device.is_cpu()) continue;
    for (const ImageBatch& images : {all_values<std::uint8_t>(), all_values<std::uint16_t>(), ImageBatch(all_values<std::uint16_t>().values()),
                                     all_values<std::uint16_t>().to(f16)})
      for (const DType dtype : {u8, u16, f16, f32}) {
        const ImageBatch there = images.to(device).to(dtype);
        EXPECT_EQ(there.device(), device);
        expect_equal(there.pixels(), images.to(dtype).pixels());
      }
  }
}

TEST(ImageBatch, FloatsKeepWhatLiesBeyondOne) {
  const ImageBatch images(NDArray::of<float>({1, 3}, {-2.5f, 0.25f, 40}));
  EXPECT_EQ(elements<float>(images.to(f16).values()), (std::vector<float>{-2.5f, 0.25f, 40}));
}

TEST(ImageBatch, RegionsShareThePixels) {
  const ImageBatch images(counting(u8, {2, 4, 5, 3}));
  const ImageBatch part = images.region({.x = 1, .y = 2, .width = 3, .height = 2});
  EXPECT_EQ(part.pixels().type().str(), "u8[2,2,3,3]");
  expect_equal(part.pixels(), images.pixels().slice(1, 2, 4).slice(2, 1, 4).copy());
  ImageBatch(part.images(1).channels(2, 1)).assign(ImageBatch(f32, 1, 2, 3, 1));
  NDArray expected = counting(u8, {2, 4, 5, 3});
  expected.slice(0, 1, 2).slice(1, 2, 4).slice(2, 1, 4).slice(3, 2, 3).assign(NDArray(u8, {1, 2, 3, 1}));
  expect_equal(images.pixels(), expected);
  EXPECT_EQ(images.region({.x = 5, .y = 0, .width = 0, .height = 4}).values().type().str(), "f32[2,4,0,3]");
}

TEST(ImageBatch, HoldsMoreThanFourChannels) {
  const ImageBatch images(u16, 2, 3, 4, 7);
  EXPECT_EQ(images.channels(), 7);
  EXPECT_EQ(images.to(f16).pixels().type().str(), "f16[2,3,4,7]");
}

TEST(ImageBatch, FilesComeBackAsABatch) {
  const Folder folder;
  const std::vector<std::filesystem::path> paths = {folder / "a.png", folder / "b.ppm"};
  const ImageBatch images(counting(u8, {2, 4, 5, 3}));
  images.save(paths);
  expect_equal(ImageBatch::load(paths).pixels(), images.pixels());
  ImageBatch(images.values()).save(paths);
  expect_equal(ImageBatch::load(paths).pixels(), images.pixels());
  images.images(0).to(u16).save(std::span(paths).first(1));
  expect_equal(ImageBatch::load(paths, {.keep_16_bits = true}).pixels(), images.to(u16).pixels());
  expect_equal(ImageBatch::load(paths).pixels(), images.pixels());
}

TEST(ImageBatch, WhatDoesNotFitIsRefused) {
  const Folder folder;
  const ImageBatch images(u8, 1, 4, 5, 3);
  expect_run_error([] { ImageBatch(i32, 1, 1, 1, 1); }, "image batch: pixels can't be i32, expects u8, u16, f16 or f32");
  expect_run_error([] { ImageBatch(u8, 1, -1, 1, 1); }, "sizes are negative, or too large together");
  expect_run_error([] { ImageBatch(u8, std::int64_t{1} << 31, std::int64_t{1} << 31, 4, 1); }, "sizes are negative, or too large together");
  expect_run_error([] { ImageBatch(NDArray(u8, {4})); }, "an array u8[4] isn't one");
  expect_run_error([] { ImageBatch::of(NDArray(u8, {4, 4}), u8); }, "values can't be u8");
  expect_run_error([&] { images.values(i32); }, "values can't be i32");
  expect_run_error([&] { images.region({.x = 3, .y = 0, .width = 3, .height = 1}); }, "columns of a region: 3 from 3 on don't lie in 5");
  expect_run_error([&] { images.region({.x = 0, .y = -1, .width = 1, .height = 1}); }, "rows of a region");
  expect_run_error([&] { images.region({.x = 1, .y = 1, .width = std::numeric_limits<std::int64_t>::max(), .height = 1}); }, "columns of a region");
  expect_run_error([&] { ImageBatch(u8, 1, 4, 5, 4).assign(images); }, "can't become");
  expect_run_error([&] { images.save({}); }, "0 files are named for 1 images");
  expect_run_error([&] { ImageBatch::load({}); }, "no files are named");
  const std::vector<std::filesystem::path> paths = {folder / "a.png", folder / "b.png"};
  images.save(std::span(paths).first(1));
  ImageBatch(u8, 1, 5, 4, 3).save(std::span(paths).subspan(1));
  expect_run_error([&] { ImageBatch::load(paths); }, "b.png\" is [5,4,3]");
}

}  // namespace
}  // namespace weft::image_batch_test
