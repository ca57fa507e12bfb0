#include "file_testing.h"
#include "image_testing.h"

#include <cmath>

namespace weft::image_file_test {
namespace {

using testing::counting, testing::decode, testing::exif_with, testing::expect_equal, testing::expect_run_error, testing::Folder;
using namespace std::string_literals;
using io::ImageFormat;

void refuse(const std::string& content, const std::string& part) {
  expect_run_error([&] { decode(content); }, part);
}

/// A picture that JPEG can hold well.
NDArray smooth(std::int64_t height, std::int64_t width, std::int64_t channels) {
  NDArray image(u8, {height, width, channels});
  auto* to = image.elements<std::uint8_t>().data();
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x)
      for (std::int64_t c = 0; c < channels; ++c) *to++ = static_cast<std::uint8_t>(120 + 100 * std::sin(0.05 * static_cast<double>(x + c * y)));
  return image;
}

int largest_difference(const NDArray& a, const NDArray& b) {
  EXPECT_EQ(a.type().str(), b.type().str());
  int largest = 0;
  const auto x = a.elements<std::uint8_t>(), y = b.elements<std::uint8_t>();
  for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
  return largest;
}

TEST(ImageFile, PngKeepsSixteenBitsAndAlphaWhenAsked) {
  for (const std::int64_t channels : {1, 2, 3, 4}) {
    NDArray image = counting(u16, {3, 5, channels});
    for (auto& e : image.elements<std::uint16_t>()) e = static_cast<std::uint16_t>(e * 1021);
    const std::string file = testing::text_of(io::encode_image(image, ImageFormat::png));
    expect_equal(decode(file, {.keep_16_bits = true}), image);
    const NDArray narrow = decode(file);
    ASSERT_EQ(narrow.type().str(), (TensorType{u8, {3, 5, channels}}.str()));
    for (std::size_t i = 0; i < narrow.elements<std::uint8_t>().size(); ++i)
      EXPECT_EQ(narrow.elements<std::uint8_t>()[i], (image.elements<std::uint16_t>()[i] + 128) / 257);
  }
  expect_equal(decode(testing::text_of(io::encode_image(counting(u8, {2, 2, 4}), ImageFormat::png)), {.keep_16_bits = true}),
               counting(u8, {2, 2, 4}));
}

TEST(ImageFile, PnmComesBackAsItWas) {
  for (const bool plain : {false, true})
    for (const std::int64_t channels : {1, 3})
      for (const DType dtype : {u8, u16}) {
        NDArray image = counting(dtype, {7, 11, channels});
        if (dtype == u16) image.elements<std::uint16_t>()[3] = 65535;
        expect_equal(decode(testing::text_of(io::encode_image(image, plain ? ImageFormat::pnm_plain : ImageFormat::pnm)), {.keep_16_bits = true}),
                     image);
      }
}

TEST(ImageFile, PnmScalesOtherMaximaAndSkipsComments) {
  const auto expect = [](const NDArray& image, DType dtype, const std::vector<int>& values) {
    ASSERT_EQ(image.dtype(), dtype);
    const NDArray wide = image.cast(i32);
    EXPECT_EQ(std::vector<int>(wide.elements<std::int32_t>().begin(), wide.elements<std::int32_t>().end()), values);
  };
  expect(decode("P2 # grey\n# of two\n2 1\n15\n15 7"), u8, {255, 119});
  expect(decode("P3\n1 1 1\n0 1 1\n"), u8, {0, 255, 255});
  expect(decode("P5\n2 1\n1023\n\x03\xff\x01\x00"s), u8, {255, 64});
  expect(decode("P5\n2 1\n1023\n\x03\xff\x01\x00"s, {.keep_16_bits = true}), u16, {65535, 16400});
  expect(decode("P6 1 1 255\nabcP6 1 1 255\nxyz"), u8, {'a', 'b', 'c'});
}

TEST(ImageFile, BrokenPnmIsRefused) {
  refuse("P7\n", "kind P7 can't be read");
  refuse("P5", "is truncated, its width is missing");
  refuse("P5 x", "its width isn't a number");
  refuse("P5 0 1 255\n", "its width isn't from 1");
  refuse("P5 -3 1 255\n", "its width isn't from 1");
  refuse("P5 99999999999999999999 1 255\n", "its width isn't from 1");
  refuse("P5 1 1 65536\n\1", "its largest sample isn't from 1 to 65535");
  refuse("P5 1 1 255x", "no white space after the header");
  refuse("P5 2 2 255\nabc", "its size takes more bytes than it has");
  refuse("P6 2147483647 2147483647 65535\nabc", "its size takes more bytes than it has");
  refuse("P3 2147483647 2147483647 255\n1 2 3", "its size takes more bytes than it has");
  refuse("P5 1 1 100\nz", "a sample of 122 is larger than the largest, 100");
  refuse("P2 2 1 100\n101 1", "a sample isn't from 0 to 100");
  refuse("P2 2 1 100\n1   ", "a sample is missing");
}

TEST(ImageFile, JpegComesBackNearly) {
  if (!io::has_jpeg()) GTEST_SKIP() << "built without libjpeg";
  for (const bool progressive : {false, true})
    for (const std::int64_t channels : {1, 3}) {
      const NDArray image = smooth(37, 50, channels);
      const std::string file = testing::text_of(io::encode_image(image, ImageFormat::jpeg, {.quality = 95, .progressive = progressive}));
      EXPECT_LE(largest_difference(decode(file), image), 8);
    }
  const auto size = [&](int quality) { return io::encode_image(smooth(64, 64, 3), ImageFormat::jpeg, {.quality = quality}).size(); };
  EXPECT_LT(size(20), size(95));
}

TEST(ImageFile, BrokenJpegIsRefused) {
  if (!io::has_jpeg()) GTEST_SKIP() << "built without libjpeg";
  const std::string good = testing::text_of(io::encode_image(smooth(40, 40, 3), ImageFormat::jpeg));
  refuse(good.substr(0, good.size() / 2), "is broken: Premature end of JPEG file");
  refuse(good.substr(0, 3), "is broken");
  std::string lies = good;
  const std::size_t sizes = lies.find("\xff\xc0") + 5;
  lies.replace(sizes, 4, "\xff\xd0\xff\xd0");
  refuse(lies, "its header lies: its size takes more bytes than it has");
  lies.replace(sizes, 4, "\0\x28\0\0"s);
  refuse(lies, "is broken: Empty JPEG image");
}

TEST(ImageFile, OrientationIsHonoured) {
  // 1 2 3      what is at the corners of each, from the EXIF standard's figure
  // 4 5 6
  const std::vector<std::vector<int>> upright[] = {{{1, 2, 3}, {4, 5, 6}},   {{3, 2, 1}, {6, 5, 4}},   {{6, 5, 4}, {3, 2, 1}},
                                                   {{4, 5, 6}, {1, 2, 3}},   {{1, 4}, {2, 5}, {3, 6}}, {{4, 1}, {5, 2}, {6, 3}},
                                                   {{6, 3}, {5, 2}, {4, 1}}, {{3, 6}, {2, 5}, {1, 4}}};
  const NDArray image = counting(u8, {2, 3, 1});
  for (int orientation = 1; orientation <= 8; ++orientation)
    for (const bool little : {false, true}) {
      const std::string file = testing::png_with_exif(image, exif_with(orientation, little));
      const auto& rows = upright[orientation - 1];
      NDArray expected(u8, {static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(rows[0].size()), 1});
      auto* to = expected.elements<std::uint8_t>().data();
      for (const auto& row : rows)
        for (const int v : row) *to++ = static_cast<std::uint8_t>(v);
      SCOPED_TRACE(orientation);
      expect_equal(decode(file), expected);
      expect_equal(decode(file, {.apply_orientation = false}), image);
    }
}

TEST(ImageFile, OrientationThatMakesNoSenseIsNone) {
  const NDArray image = counting(u8, {2, 3, 1});
  const std::string good = exif_with(6);
  for (const std::string& exif : {exif_with(0), exif_with(9), good.substr(0, 7), good.substr(0, 30), "MM\0\x2a\xff\xff\xff\xff"s + good.substr(8)}) {
    expect_equal(decode(testing::png_with_exif(image, exif)), image);
    if (!io::has_jpeg()) continue;
    EXPECT_EQ(decode(testing::jpeg_with_exif(image, exif)).shape(), image.shape());
  }
}

TEST(ImageFile, JpegIsTurnedUpright) {
  if (!io::has_jpeg()) GTEST_SKIP() << "built without libjpeg";
  const NDArray image = smooth(24, 40, 3);
  const NDArray turned = decode(testing::jpeg_with_exif(image, exif_with(6)));
  EXPECT_LE(largest_difference(turned, image.slice(0, 23, -1, -1).transpose(0, 1).copy()), 4);
}

TEST(ImageFile, FormatsGoByEndingAndByFirstBytes) {
  const Folder folder;
  const NDArray image = smooth(20, 30, 3);
  for (const char* name : {"a.png", "a.PPM", "a.pnm"}) {
    io::save_image(folder / name, image);
    expect_equal(io::load_image(folder / name), image);
  }
  std::filesystem::rename(folder / "a.png", folder / "a.jpg");
  expect_equal(io::load_image(folder / "a.jpg"), image);
  if (io::has_jpeg()) {
    io::save_image(folder / "a.jpeg", image);
    EXPECT_LE(largest_difference(io::load_image(folder / "a.jpeg"), image), 12);
  } else expect_run_error([&] { io::save_image(folder / "a.jpeg", image); }, "built without libjpeg");
  expect_run_error([&] { io::save_image(folder / "a.gif", image); }, "its ending must be .png");
  expect_run_error([&] { io::load_image(folder.with("b.png", "GIF89a")); }, "is neither PNG nor JPEG nor PPM nor PGM");
  expect_run_error([&] { io::load_image(folder.with("b.png", "")); }, "is neither PNG");
}

TEST(ImageFile, MorePixelsThanAllowedAreRefused) {
  for (const ImageFormat format : {ImageFormat::png, ImageFormat::jpeg, ImageFormat::pnm, ImageFormat::pnm_plain}) {
    if (format == ImageFormat::jpeg && !io::has_jpeg()) continue;
    const std::string file = testing::text_of(io::encode_image(counting(u8, {20, 30, 3}), format));
    EXPECT_EQ(decode(file, {.most_pixels = 600}).shape(), (Shape{20, 30, 3}));
    expect_run_error([&] { decode(file, {.most_pixels = 599}); }, "has 30 x 20 pixels, more than the 599 that may be read");
  }
}

TEST(ImageFile, ArraysThatAreNoImagesAreRefused) {
  const auto encode = [](TensorType type, ImageFormat format) { return [=] { io::encode_image(NDArray(type), format); }; };
  expect_run_error(encode({f32, {2, 2}}, ImageFormat::png), "elements must be u8 or u16");
  expect_run_error(encode({u8, {2, 2, 2}}, ImageFormat::pnm), "holds 1 or 3 channels");
  expect_run_error(encode({u8, {0, 2, 3}}, ImageFormat::pnm_plain), "sizes must be from 1");
  if (!io::has_jpeg()) return;
  expect_run_error(encode({u16, {2, 2}}, ImageFormat::jpeg), "elements must be u8");
  expect_run_error(encode({u8, {2, 2, 4}}, ImageFormat::jpeg), "no alpha");
  expect_run_error(encode({u8, {1, 65501}}, ImageFormat::jpeg), "from 1 to 65500");
  expect_run_error([] { io::encode_image(NDArray(u8, {2, 2}), ImageFormat::jpeg, {.quality = 0}); }, "its quality must be from 1 to 100");
}

}  // namespace
}  // namespace weft::image_file_test
