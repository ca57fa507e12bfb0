#include "file_testing.h"

#include <zlib.h>

namespace weft::png_test {
namespace {

using testing::counting, testing::expect_equal, testing::expect_run_error, testing::Folder;
using namespace std::string_literals;

using Bytes = std::vector<std::uint8_t>;
enum Colour { grey = 0, rgb = 2, palette = 3, grey_alpha = 4, rgb_alpha = 6 };

std::string big_endian(std::uint32_t v) {
  return {static_cast<char>(v >> 24), static_cast<char>(v >> 16), static_cast<char>(v >> 8), static_cast<char>(v)};
}

std::string chunk(const std::string& kind, const std::string& data) {
  const std::string body = kind + data;
  return big_endian(static_cast<std::uint32_t>(data.size())) + body +
         big_endian(static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()))));
}

/// A PNG of given scanlines (each begins with its filter, 0), with `extra` chunks before them.
std::string png(std::uint32_t width, std::uint32_t height, int bits, Colour colour, const std::string& scanlines, const std::string& extra = "",
                bool interlaced = false) {
  std::string packed(compressBound(scanlines.size()), '\0');
  uLongf length = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &length, reinterpret_cast<const Bytef*>(scanlines.data()), scanlines.size());
  packed.resize(length);
  return "\x89PNG\r\n\x1a\n" +
         chunk("IHDR",
               big_endian(width) + big_endian(height) + static_cast<char>(bits) + static_cast<char>(colour) + "\0\0"s + (interlaced ? '\1' : '\0')) +
         extra + chunk("IDAT", packed) + chunk("IEND", "");
}

NDArray decode(const std::string& content) { return io::decode_png(std::as_bytes(std::span(content)), "x.png"); }

void expect_image(const std::string& content, Shape shape, const Bytes& expected) {
  const NDArray image = decode(content);
  ASSERT_EQ(image.type().str(), (TensorType{u8, shape}.str()));
  const auto e = image.elements<std::uint8_t>();
  EXPECT_EQ(Bytes(e.begin(), e.end()), expected);
}

void refuse(const std::string& content, const std::string& part) {
  expect_run_error([&] { decode(content); }, part);
}

TEST(Png, ReadsEveryColourTypeAtEightBits) {
  expect_image(png(2, 2, 8, grey, "\0\1\2\0\3\4"s), {2, 2, 1}, {1, 2, 3, 4});
  expect_image(png(2, 1, 8, grey_alpha, "\0\1\2\3\4"s), {1, 2, 2}, {1, 2, 3, 4});
  expect_image(png(1, 1, 8, rgb, "\0\1\2\3"s), {1, 1, 3}, {1, 2, 3});
  expect_image(png(1, 1, 8, rgb_alpha, "\0\1\2\3\4"s), {1, 1, 4}, {1, 2, 3, 4});
  const std::string colours = chunk("PLTE", "\1\2\3\xff\xfe\xfd");
  expect_image(png(2, 1, 8, palette, "\0\1\0"s, colours), {1, 2, 3}, {255, 254, 253, 1, 2, 3});
  expect_image(png(2, 1, 8, palette, "\0\1\0"s, colours + chunk("tRNS", "\x80")), {1, 2, 4}, {255, 254, 253, 255, 1, 2, 3, 128});
}

TEST(Png, SmallDepthsAreScaledUpToEightBits) {
  expect_image(png(9, 1, 1, grey, "\0\xa5\x80"s), {1, 9, 1}, {255, 0, 255, 0, 0, 255, 0, 255, 255});
  expect_image(png(4, 1, 2, grey, "\0\x1b"s), {1, 4, 1}, {0, 85, 170, 255});
  expect_image(png(2, 1, 4, grey, "\0\x1f"s), {1, 2, 1}, {17, 255});
  expect_image(png(3, 1, 2, palette, "\0\x14"s, chunk("PLTE", "\1\2\3\4\5\6")), {1, 3, 3}, {1, 2, 3, 4, 5, 6, 4, 5, 6});
}

TEST(Png, SixteenBitsAreRoundedToTheNearestOfEight) {
  // round(v / 257): 0x0080 / 257 = 0.498, 0x0081 / 257 = 0.502, 0xff7e / 257 = 254.498, 0xff7f / 257 = 254.502
  expect_image(png(4, 1, 16, grey, "\0\x00\x80\x00\x81\xff\x7e\xff\x7f"s), {1, 4, 1}, {0, 1, 254, 255});
  expect_image(png(1, 1, 16, rgb_alpha, "\0\x01\x01\x02\x02\xff\xff\x80\x80"s), {1, 1, 4}, {1, 2, 255, 128});
}

TEST(Png, ATransparentColourBecomesAlpha) { expect_image(png(2, 1, 8, grey, "\0\5\6"s, chunk("tRNS", "\0\5"s)), {1, 2, 2}, {5, 0, 6, 255}); }

TEST(Png, ReadsInterlacedImages) {
  // Adam7 visits a 2 x 2 image in three passes: top left, top right, and the second row.
  expect_image(png(2, 2, 8, grey, "\0\1\0\2\0\3\4"s, "", true), {2, 2, 1}, {1, 2, 3, 4});
}

TEST(Png, ImagesComeBackAsTheyWereSaved) {
  const Folder folder;
  for (int channels = 1; channels <= 4; ++channels) {
    const NDArray image = counting(u8, {7, 5, channels});
    io::save_png(folder / "x.png", image);
    expect_equal(io::load_png(folder / "x.png"), image);
  }
  const NDArray plane = counting(u8, {7, 5});
  io::save_png(folder / "x.png", plane);
  expect_equal(io::load_png(folder / "x.png"), plane.reshape({7, 5, 1}));
  const NDArray view = counting(u8, {3, 6, 4}).transpose(1, 2).slice(1, 3, 0, -1);
  expect_equal(io::decode_png(io::encode_png(view.transpose(1, 2))), view.transpose(1, 2).copy());
}

TEST(Png, ArraysThatAreNoImagesAreRefused) {
  const Folder folder;
  const auto save = [&](TensorType type) { io::save_png(folder / "x.png", NDArray(type)); };
  expect_run_error([&] { save({f32, {2, 2}}); }, "x.png\": an array f32[2,2] isn't an image: elements must be u8");
  expect_run_error([&] { save({u8, {2}}); }, "it must be [height, width]");
  expect_run_error([&] { save({u8, {2, 2, 5}}); }, "1 to 4 channels");
  expect_run_error([&] { save({u8, {0, 2}}); }, "sizes must be from 1");
  EXPECT_EQ(folder.file_count(), 0u);
}

TEST(Png, BrokenImagesAreRefused) {
  refuse("", "png file \"x.png\": isn't one, its signature is wrong");
  refuse("GIF89a something", "its signature is wrong");
  const std::string good = png(2, 2, 8, grey, "\0\1\2\0\3\4"s);
  refuse(good.substr(0, good.size() - 1), "is broken: truncated");
  refuse(good.substr(0, 33), "is broken: truncated");
  std::string wrong_sum = good;
  wrong_sum[30] = static_cast<char>(wrong_sum[30] ^ 1);
  refuse(wrong_sum, "is broken: IHDR: CRC error");
  refuse(png(2, 2, 8, grey, "\0\1\2"s), "is broken");
  refuse(png(2, 2, 8, palette, "\0\1\0\0\1\0"s), "is broken");
  refuse(png(0, 2, 8, grey, ""), "is broken");
  refuse(png(2, 2, 3, grey, "\0\0"s), "is broken");
}

TEST(Png, SizesThatLieAreRefusedWithoutMemoryForThem) {
  refuse(png(0x7fffffff, 0x7fffffff, 8, rgb_alpha, "\0\1\2\3\4"s), "png file \"x.png\"");
  refuse(png(100000, 100000, 8, grey, "\0\1\2"s), "its size takes more bytes than it can hold");
  refuse(png(0x80000000, 1, 8, grey, "\0\1"s), "is broken");
}

TEST(Png, NothingIsPrinted) {
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  refuse(png(2, 2, 8, grey, "\0\1\2"s), "is broken");
  decode(png(1, 1, 8, grey, "\0\1"s, chunk("gAMA", "\0\0\0\0"s) + chunk("tEXt", "")));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
}

TEST(Png, CorruptedFilesAreReadOrRefusedButNeverCrash) {
  const auto load = [](const auto& path) { io::load_png(path); };
  EXPECT_GT(testing::sweep_corruptions(
                png(3, 2, 4, palette, "\0\x01\x20\0\x10\x20"s, chunk("PLTE", "\1\2\3\4\5\6\7\x08\x09") + chunk("tRNS", "\x80")), load),
            500);
  EXPECT_GT(testing::sweep_corruptions(png(2, 2, 16, rgb, "\0ababab\0cdcdcd\0efefefababab"s, "", true), load), 500);
}

TEST(Png, AFullDiskKeepsTheOldFile) {
  NDArray noise(u8, {100, 100, 3});
  std::uint32_t state = 1;
  for (auto& e : noise.elements<std::uint8_t>()) e = static_cast<std::uint8_t>((state = state * 1664525u + 1013904223u) >> 24);
  testing::expect_old_file_survives_a_full_disk([&](const auto& path) { io::save_png(path, noise); });
}

}  // namespace
}  // namespace weft::png_test
