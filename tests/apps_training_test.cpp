#include "apps/digits_training.h"
#include "apps/sha256.h"
#include "file_testing.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>
#include <utility>

namespace weft::apps::apps_training_test {
namespace {

using testing::expect_equal;
using testing::expect_run_error;
using testing::Folder;

/// n images, each of one brightness that tells it apart, with labels 0, 1, ... 9, 0, ...
Digits numbered(std::int64_t n) {
  Digits digits{NDArray(u8, {n, 28, 28}), NDArray(u8, {n})};
  const auto images = digits.images.elements<std::uint8_t>(), labels = digits.labels.elements<std::uint8_t>();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    std::fill_n(images.begin() + static_cast<std::ptrdiff_t>(i * 784), 784, static_cast<std::uint8_t>(i));
    labels[i] = static_cast<std::uint8_t>(i % 10);
  }
  return digits;
}

std::vector<int> drawn_order(std::uint64_t seed, int batches) {
  DigitBatches source(numbered(20), 5, seed);
  std::vector<int> order;
  for (int i = 0; i < batches; ++i) {
    const auto& batch = source.next();
    for (std::size_t k = 0; k < 5; ++k) {
      order.push_back(static_cast<int>(std::lround(batch.images.elements<float>()[k * 784] * 255)));
      EXPECT_EQ(order.back() % 10, batch.labels.elements<std::uint8_t>()[k]);
    }
  }
  return order;
}

TEST(DigitBatches, HaveEachImageOnceInARound) {
  const auto order = drawn_order(1, 8);
  for (int round = 0; round < 2; ++round) EXPECT_EQ(std::set<int>(order.begin() + round * 20, order.begin() + (round + 1) * 20).size(), 20u);
  EXPECT_NE(std::vector<int>(order.begin(), order.begin() + 20), std::vector<int>(order.begin() + 20, order.end()));
}

TEST(DigitBatches, ComeInAnOrderThatDependsOnTheSeed) {
  EXPECT_EQ(drawn_order(7, 4), drawn_order(7, 4));
  EXPECT_NE(drawn_order(7, 4), drawn_order(8, 4));
}

TEST(DigitBatches, MayBeLargerThanTheData) {
  DigitBatches source(numbered(3), 7, 1);
  EXPECT_EQ(source.next().labels.element_count(), 7);
}

TEST(DigitsModel, LearnsAFewImagesByHeart) {
  for (const Optimizer optimizer : {Optimizer::adam, Optimizer::sgd}) {
    DigitsModel model({.optimizer = optimizer, .learning_rate = optimizer == Optimizer::adam ? 1e-3 : 0.01});
    DigitBatches source(draw_digits(2, 3), 2, 1);
    const auto& batch = source.next();
    const double first = model.train(batch.images, batch.labels);
    double last = first;
    for (int i = 0; i < 5; ++i) last = model.train(batch.images, batch.labels);
    EXPECT_LT(last, first / 2) << static_cast<int>(optimizer);
  }
}

TEST(DigitsModel, GivesProbabilitiesForAnyNumberOfImages) {
  DigitsModel model;
  for (const std::int64_t n : {1, 3}) {
    const NDArray p = model.probabilities(NDArray(f32, {n, 28, 28}));
    ASSERT_EQ(p.type().str(), "f32[" + std::to_string(n) + ",10]");
    for (std::int64_t i = 0; i < n; ++i) {
      const auto row = std::as_const(p).elements<float>().subspan(static_cast<std::size_t>(i * 10), 10);
      EXPECT_NEAR(std::accumulate(row.begin(), row.end(), 0.0), 1, 1e-6);
    }
  }
}

TEST(DigitsModel, StartsFromWeightsThatDependOnTheSeed) {
  const NDArray image = NDArray::scalar(1.0f).broadcast_to({1, 28, 28});
  DigitsModel a({.seed = 4}), b({.seed = 4}), c({.seed = 5});
  expect_equal(a.probabilities(image), b.probabilities(image));
  EXPECT_NE(a.probabilities(image).str(), c.probabilities(image).str());
}

TEST(DigitsModel, SavesWhatItHasLearntAndLoadsItAgain) {
  const Folder folder;
  const NDArray image = NDArray::scalar(1.0f).broadcast_to({1, 28, 28});
  DigitsModel learnt({.seed = 4}), other({.seed = 5});
  learnt.save(folder / "w.safetensors");
  other.load(folder / "w.safetensors");
  expect_equal(learnt.probabilities(image), other.probabilities(image));
}

TEST(DigitsModel, RefusesForeignWeightsAndKeepsItsOwn) {
  const Folder folder;
  const auto path = folder / "w.safetensors";
  DigitsModel model;
  model.save(path);
  const auto right = io::load_safetensors(path);
  const NDArray image = NDArray::scalar(1.0f).broadcast_to({1, 28, 28});
  const NDArray before = model.probabilities(image);

  auto missing = right;
  for (auto& [name, array] : missing.tensors) array = NDArray(array.type());
  auto odd = missing, surplus = missing;
  missing.tensors.erase("dense2.weights");
  odd.tensors["dense2.bias"] = NDArray(f32, {11});
  surplus.tensors["more"] = NDArray(f32, {1});
  const std::pair<io::Safetensors, std::string> cases[] = {
      {missing, "there is no tensor \"dense2.weights\""},
      {odd, "\"dense2.bias\" is f32[11], the digit classifier's is f32[10]"},
      {surplus, "there are 9 tensors, the digit classifier has 8"},
  };
  for (const auto& [content, message] : cases) {
    io::save_safetensors(path, content);
    expect_run_error([&] { model.load(path); }, message);
    expect_run_error([&] { model.load(path); }, path.string());
  }
  expect_equal(model.probabilities(image), before);
}

TEST(Training, EndsEarlyWhenToldTo) {
  DigitsModel model;
  std::vector<double> seen;
  const auto losses = train(model, draw_digits(4, 1), {.steps = 10, .batch = 1, .progress = [&](std::int64_t step, double loss) {
                                                         seen.push_back(loss);
                                                         return step < 2;
                                                       }});
  EXPECT_EQ(losses.size(), 2u);
  EXPECT_EQ(losses, seen);
}

TEST(Training, SaysThatItDivergedInsteadOfGoingOn) {
  DigitsModel model({.optimizer = Optimizer::sgd, .learning_rate = 1e30});
  expect_run_error([&] { train(model, draw_digits(4, 1), {.steps = 10, .batch = 1}); }, "is not finite; try a lower learning rate");
}

TEST(Evaluation, CountsWhatIsRight) {
  DigitsModel model;
  Digits digits = draw_digits(3, 1);
  const auto predictions = evaluate(model, digits).predictions;
  ASSERT_EQ(predictions.size(), 3u);
  std::copy(predictions.begin(), predictions.end(), digits.labels.elements<std::uint8_t>().begin());
  EXPECT_EQ(evaluate(model, digits).accuracy(), 1.0);
  digits.labels.elements<std::uint8_t>()[1] ^= 1;
  EXPECT_EQ(evaluate(model, digits).correct, 2);
}

std::string sha256_of(const std::string& text) { return sha256(std::as_bytes(std::span(text))); }

// The examples of FIPS 180-4's companion (NIST, "SHA256"), and of lengths around a block.
TEST(Sha256, IsThatOfTheStandard) {
  EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_of(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
}  // namespace weft::apps::apps_training_test
