// Broken images of every format: a decoder gives an image or throws RunError, whatever it is given. WEFT_FUZZ_SECONDS and WEFT_FUZZ_SEED
// make it long and different.
#include "file_testing.h"
#include "image_testing.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>

namespace weft::image_fuzz_test {
namespace {

using io::ImageFormat;
using testing::counting, testing::exif_with;

/// Good files to begin with.
std::vector<std::string> seeds() {
  std::vector<std::string> files;
  const auto add = [&](const NDArray& image, ImageFormat format, io::ImageWriteOptions options = {}) {
    files.push_back(testing::text_of(io::encode_image(image, format, options)));
  };
  for (const std::int64_t channels : {1, 2, 3, 4})
    for (const DType dtype : {u8, u16}) {
      const NDArray image = counting(dtype, {9, 7, channels});
      add(image, ImageFormat::png);
      if (channels % 2 == 0) continue;
      add(image, ImageFormat::pnm);
      add(image, ImageFormat::pnm_plain);
      if (!io::has_jpeg() || dtype != u8) continue;
      const NDArray larger = counting(u8, {33, 41, channels});
      for (const bool progressive : {false, true}) add(larger, ImageFormat::jpeg, {.quality = 60, .progressive = progressive});
      files.push_back(testing::jpeg_with_exif(larger, exif_with(7)));
    }
  files.push_back(testing::png_with_exif(counting(u8, {5, 4, 3}), exif_with(8, true)));
  return files;
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed), seeds_(seeds()) {}

  std::string next() {
    std::string file = pick();
    const bool png = file.starts_with("\x89PNG");
    for (std::size_t n = 1 + below(6); n-- > 0 && !file.empty();) mutate(file);
    if (png && below(8)) repair_checksums(file);
    return file;
  }

 private:
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  const std::string& pick() { return seeds_[below(seeds_.size())]; }

  void mutate(std::string& file) {
    constexpr unsigned char edges[] = {0, 1, 2, 4, 7, 8, 16, 0x7f, 0x80, 0xc0, 0xc2, 0xc4, 0xda, 0xfe, 0xff};
    const std::size_t at = below(file.size()), length = std::min(file.size() - at, 1 + below(16));
    switch (below(8)) {
      case 0:
      case 1: file[at] = static_cast<char>(file[at] ^ (1 << below(8))); break;
      case 2: file[at] = static_cast<char>(edges[below(std::size(edges))]); break;
      case 3: file.erase(at, length); break;
      case 4: file.insert(at, file.substr(below(file.size()), length)); break;
      case 5: file.insert(at, pick().substr(0, below(200))); break;
      case 6: {
        const std::string other = pick();
        const std::size_t from = below(other.size());
        file.replace(at, length, other.substr(from, length));
        break;
      }
      default:
        if (below(4) == 0) file.resize(at);
        else
          std::ranges::for_each(file.begin() + static_cast<std::ptrdiff_t>(at), file.begin() + static_cast<std::ptrdiff_t>(at + length),
                                [&](char& c) { c = static_cast<char>(random_()); });
    }
  }

  /// Otherwise nearly every change of a PNG is found by its checksums alone.
  static void repair_checksums(std::string& file) {
    for (std::size_t at = 8; at + 12 <= file.size();) {
      std::uint32_t length = 0;
      for (std::size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<unsigned char>(file[at + i]);
      if (length > file.size() - at - 12) return;
      file.replace(at + 8 + length, 4, testing::crc_of(std::string_view(file).substr(at + 4, 4 + length)));
      at += 12 + length;
    }
  }

  std::mt19937_64 random_;
  std::vector<std::string> seeds_;
};

TEST(ImageFuzz, BrokenImagesAreReadOrRefusedButNeverCrash) {
  const char* text = std::getenv("WEFT_FUZZ_SECONDS");
  const char* seed_text = std::getenv("WEFT_FUZZ_SEED");
  const std::uint64_t seed = seed_text ? std::strtoull(seed_text, nullptr, 10) : 1;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(text ? std::atoi(text) : 0);
  Mutator mutator(seed);
  long read = 0, refused = 0;
  for (long i = 0; i < 3000 || (text && std::chrono::steady_clock::now() < end); ++i) {
    const std::string file = mutator.next();
    try {
      const NDArray image = testing::decode(file, {.keep_16_bits = i % 2 == 0});
      ASSERT_EQ(image.rank(), 3);
      ASSERT_TRUE(image.is_dense());
      ++read;
    } catch (const RunError& e) {
      ++refused;
      ASSERT_NE(std::string(e.what()).find("\"x\""), std::string::npos) << e.what();
    }
  }
  EXPECT_GT(read, 100);
  EXPECT_GT(refused, 1000);
  if (text) std::printf("%ld images read, %ld refused\n", read, refused);
}

}  // namespace
}  // namespace weft::image_fuzz_test
