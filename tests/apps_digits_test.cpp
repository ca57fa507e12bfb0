#include "apps/digits_data.h"
#include "file_testing.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace weft::apps::apps_digits_test {
namespace {

using weft::testing::expect_equal, weft::testing::expect_run_error, weft::testing::Folder;

/// Sets an environment variable, or removes it, for as long as it lives.
class Environment {
 public:
  Environment(const char* name, const std::optional<std::string>& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    set(value);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() { set(old_); }

 private:
  void set(const std::optional<std::string>& value) const {
    if (value) ::setenv(name_, value->c_str(), 1);
    else ::unsetenv(name_);
  }
  const char* name_;
  std::optional<std::string> old_;
};

Digits few(std::int64_t n) { return {NDArray(u8, {n, 28, 28}), NDArray(u8, {n})}; }

void save(const std::filesystem::path& folder, const std::string& part, const Digits& digits, const std::string& suffix = "") {
  io::save_idx(folder / (part + "-images-idx3-ubyte" + suffix), digits.images);
  io::save_idx(folder / (part + "-labels-idx1-ubyte" + suffix), digits.labels);
}

TEST(Mnist, LoadsPlainAndCompressedFiles) {
  const Folder folder;
  const Digits train = draw_digits(5, 1), test = draw_digits(3, 2);
  save(folder / "", "train", train);
  save(folder / "", "t10k", test, ".gz");
  const DigitsData data = load_mnist(folder / "");
  expect_equal(data.train.images, train.images);
  expect_equal(data.train.labels, train.labels);
  expect_equal(data.test.images, test.images);
  EXPECT_EQ(data.test.count(), 3);
}

TEST(Mnist, RefusesFilesThatDoNotBelongTogether) {
  const Folder folder;
  const auto refuse = [&](const Digits& train, const std::string& part) {
    save(folder / "", "train", train);
    expect_run_error([&] { load_mnist(folder / ""); }, part);
  };
  expect_run_error([&] { load_mnist(folder / ""); }, "there is neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz");
  refuse({NDArray(u8, {5, 28, 28}), NDArray(u8, {4})}, "there are 5 train images but 4 labels");
  refuse({NDArray(u8, {5, 28, 27}), NDArray(u8, {5})}, "train images are u8[5,28,27], not u8[n,28,28]");
  refuse({NDArray(f32, {5, 28, 28}), NDArray(u8, {5})}, "train images are f32[5,28,28]");
  refuse({NDArray(u8, {5, 28, 28}), NDArray(u8, {5, 1})}, "train labels are u8[5,1], not u8[n]");
  refuse({NDArray(u8, {2, 28, 28}), NDArray::of<std::uint8_t>({2}, {9, 10})}, "train label 1 is 10, labels are from 0 to 9");
  refuse(few(0), "there are no train images");
  refuse(few(2), "there is neither t10k-images-idx3-ubyte nor");
}

TEST(Mnist, IsFoundInTheDataFolderOrTheCache) {
  const Folder folder;
  const Environment cache("XDG_CACHE_HOME", folder / "cache"), home("HOME", folder / "home");
  EXPECT_EQ(*mnist_cache(), folder / "cache/weft/mnist");
  {
    const Environment data("WEFT_DATA_DIR", std::nullopt);
    EXPECT_FALSE(find_mnist());
    std::filesystem::create_directories(folder / "cache/weft/mnist");
    save(folder / "cache/weft/mnist", "train", few(1), ".gz");
    EXPECT_EQ(find_mnist(), folder / "cache/weft/mnist");
  }
  const Environment data("WEFT_DATA_DIR", folder / "data");
  EXPECT_EQ(find_mnist(), folder / "cache/weft/mnist");
  std::filesystem::create_directories(folder / "data/mnist");
  save(folder / "data/mnist", "train", few(1));
  EXPECT_EQ(find_mnist(), folder / "data/mnist");
  save(folder / "data", "train", few(1));
  EXPECT_EQ(find_mnist(), folder / "data");
  const Environment no_cache("XDG_CACHE_HOME", std::nullopt);
  EXPECT_EQ(*mnist_cache(), folder / "home/.cache/weft/mnist");
}

/// FNV-1a.
std::uint64_t hash(const NDArray& a) {
  std::uint64_t h = 0xcbf29ce484222325ull;
  for (const auto v : a.elements<std::uint8_t>()) h = (h ^ v) * 0x100000001b3ull;
  return h;
}

TEST(DrawnDigits, AreTheSameOnEveryMachine) {
  EXPECT_EQ(hash(draw_digits(200, 1).images), 10083642961684596421ull);
  EXPECT_EQ(hash(draw_digits(200, 1).labels), 14541330551170559858ull);
}

TEST(DrawnDigits, DependOnSeedAndPositionAlone) {
  const Digits few = draw_digits(10, 7), many = draw_digits(30, 7), other = draw_digits(10, 8);
  expect_equal(many.images.slice(0, 0, 10), few.images);
  EXPECT_NE(hash(other.images), hash(few.images));
  EXPECT_EQ(draw_digits(0, 1).count(), 0);
  expect_run_error([] { draw_digits(-1, 1); }, "-1 is negative");
}

TEST(DrawnDigits, AreCentredByMassLikeMnist) {
  const Digits digits = draw_digits(500, 3);
  const auto p = digits.images.elements<std::uint8_t>();
  std::array<int, 10> counts{};
  for (std::size_t i = 0; i < 500; ++i) {
    ++counts[digits.labels.elements<std::uint8_t>()[i]];
    double mass = 0, x = 0, y = 0;
    for (std::size_t j = 0; j < 784; ++j) {
      mass += p[i * 784 + j];
      x += p[i * 784 + j] * (static_cast<double>(j % 28) + 0.5);
      y += p[i * 784 + j] * (static_cast<double>(j / 28) + 0.5);
    }
    ASSERT_GT(mass, 20 * 255.0);
    ASSERT_NEAR(x / mass, 14.5, 0.501);
    ASSERT_NEAR(y / mass, 14.5, 0.501);
  }
  for (const int n : counts) EXPECT_GT(n, 25);
}

TEST(DrawnDigits, OfOneKindLookAlikeAndUnlikeTheOthers) {
  const Digits train = draw_digits(2000, 1), test = draw_digits(1000, 2);
  std::vector<double> means(7840);
  std::array<double, 10> norms{};
  const auto a = train.images.elements<std::uint8_t>(), b = test.images.elements<std::uint8_t>();
  for (std::size_t i = 0; i < 2000; ++i)
    for (std::size_t j = 0; j < 784; ++j) means[train.labels.elements<std::uint8_t>()[i] * 784u + j] += a[i * 784 + j];
  for (std::size_t k = 0; k < 7840; ++k) norms[k / 784] += means[k] * means[k];
  int right = 0;
  for (std::size_t i = 0; i < 1000; ++i) {
    std::array<double, 10> score{};
    for (std::size_t k = 0; k < 7840; ++k) score[k / 784] += means[k] * b[i * 784 + k % 784] / std::sqrt(norms[k / 784]);
    right += std::ranges::max_element(score) - score.begin() == test.labels.elements<std::uint8_t>()[i];
  }
  EXPECT_GT(right, 800);
  EXPECT_LT(right, 1000);  // there is something to learn
}

/// The largest mean difference of a pixel between digits and what to_mnist makes of pictures of them.
template <class F> double worst_difference(F&& picture_of) {
  const Digits digits = draw_digits(15, 5);
  double worst = 0;
  for (std::int64_t i = 0; i < 15; ++i) {
    const NDArray image = digits.images.slice(0, i, i + 1).reshape({28, 28}), form = to_mnist(picture_of(image)), truth = image.cast(f32);
    double sum = 0;
    for (std::size_t j = 0; j < 784; ++j) sum += std::abs(truth.elements<float>()[j] / 255 - form.elements<float>()[j]);
    worst = std::max(worst, sum / 784);
  }
  return worst;
}

/// A digit `times` larger, `margin` pixels from the left and top of a picture of 350 x 250 pixels, as f(ink from 0 to 255) in each channel.
template <class F> NDArray enlarged(const NDArray& image, std::int64_t channels, F&& colour) {
  constexpr std::size_t height = 250, width = 350, times = 7, margin = 45;
  NDArray picture(u8, {height, width, channels});
  const auto out = picture.elements<std::uint8_t>();
  const auto in = image.elements<std::uint8_t>();
  const auto c = static_cast<std::size_t>(channels);
  for (std::size_t y = 0; y < height; ++y)
    for (std::size_t x = 0; x < width; ++x) {
      const bool inside = y >= margin && x >= margin && (y - margin) / times < 28 && (x - margin) / times < 28;
      const int ink = inside ? in[(y - margin) / times * 28 + (x - margin) / times] : 0;
      for (std::size_t k = 0; k < c; ++k) out[(y * width + x) * c + k] = static_cast<std::uint8_t>(colour(ink, k));
    }
  return picture;
}

TEST(ToMnist, LeavesMnistsOwnFormNearlyAlone) {
  EXPECT_LT(worst_difference([](const NDArray& image) { return image; }), 0.01);
}

TEST(ToMnist, LargeDarkOnLightAndColouredPicturesComeToTheSameForm) {
  EXPECT_LT(worst_difference([](const NDArray& i) { return enlarged(i, 1, [](int ink, std::size_t) { return 255 - ink; }); }), 0.01);
  EXPECT_LT(
      worst_difference([](const NDArray& i) { return enlarged(i, 3, [](int ink, std::size_t k) { return 230 - (k == 2 ? 0 : ink * 200 / 255); }); }),
      0.01);
  // Ink of one colour on transparent paper.
  EXPECT_LT(worst_difference([](const NDArray& i) { return enlarged(i, 4, [](int ink, std::size_t k) { return k == 3 ? ink : 20; }); }), 0.01);
  EXPECT_LT(worst_difference([](const NDArray& i) { return enlarged(i, 2, [](int ink, std::size_t k) { return k == 1 ? ink : 250; }); }), 0.01);
}

TEST(ToMnist, GrainOfThePaperIsNoInk) {
  std::uint32_t state = 1;
  const auto grain = [&] { return static_cast<int>((state = state * 1664525u + 1013904223u) >> 28); };
  EXPECT_LT(worst_difference([&](const NDArray& i) { return enlarged(i, 1, [&](int ink, std::size_t) { return 240 - ink * 200 / 255 - grain(); }); }),
            0.05);
}

TEST(ToMnist, TheInkSpansTwentyPixelsCentredByMass) {
  NDArray picture(u8, {300, 200});
  picture.slice(0, 10, 290).slice(1, 150, 170).assign(NDArray::scalar<std::uint8_t>(255).broadcast_to({280, 20}));
  const NDArray form = to_mnist(picture);
  EXPECT_EQ(form.type().str(), "f32[28,28]");
  for (std::int64_t y = 0; y < 28; ++y) EXPECT_EQ(form.slice(0, y, y + 1).slice(1, 14, 15).item(), y >= 5 && y < 25 ? 1 : 0) << y;
}

TEST(ToMnist, OneInkedPixelIsADigitButAnEmptyPictureIsNone) {
  NDArray dot(u8, {5, 5});
  EXPECT_THROW(to_mnist(dot), RunError);
  dot.elements<std::uint8_t>()[12] = 255;
  EXPECT_NEAR(to_mnist(dot).slice(0, 14, 15).slice(1, 14, 15).item(), 1, 1e-6);
  expect_run_error([] { to_mnist(NDArray(u8, {9, 9})); }, "nothing is drawn on it");
  expect_run_error([] { to_mnist(NDArray(f32, {9, 9})); }, "picture: f32[9,9] isn't u8");
  expect_run_error([] { to_mnist(NDArray(u8, {9, 9, 5})); }, "isn't u8");
  expect_run_error([] { to_mnist(NDArray(u8, {0, 9})); }, "isn't u8");
}

}  // namespace
}  // namespace weft::apps::apps_digits_test
