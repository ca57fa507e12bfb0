// The pair of networks that learns to draw digits.
#include "apps/digits_training.h"
#include "apps/gan_model.h"
#include "apps/gan_score.h"
#include "file_testing.h"

#include <weft/weft.h>

#include <algorithm>
#include <vector>

namespace weft::apps::apps_gan_test {
namespace {

using testing::expect_run_error;
using testing::Folder;

std::vector<std::vector<float>> values(Graph& g, const std::vector<Tensor>& variables) {
  std::vector<std::vector<float>> list;
  for (const Tensor& v : variables) {
    const NDArray a = g.value(v);
    list.emplace_back(a.elements<float>().begin(), a.elements<float>().end());
  }
  return list;
}

TEST(Gan, EachNetworkLearnsFromItsOwnLossOnly) {
  for (const bool trains_generator : {false, true}) {
    Graph g;
    g.set_seed(4);
    const Generator generator(g);
    const Discriminator discriminator(g);
    const Tensor real = g.placeholder({2, 28, 28, 1}), noise = g.placeholder({2, Generator::noise_size});
    const GanStep step = gan_step(g, generator, discriminator, real, noise, 1e-3, false);
    const auto changed = [&](const std::vector<Tensor>& variables, const std::vector<Operation>& updates) {
      const auto before = values(g, variables);
      NDArray images(f32, {2, 28, 28, 1}), z(f32, {2, Generator::noise_size});
      std::ranges::fill(images.elements<float>(), 0.5f);
      std::ranges::fill(z.elements<float>(), 0.25f);
      g.run({{real, images}, {noise, z}}, {step.discriminator_loss, step.generator_loss}, updates);
      const auto after = values(g, variables);
      int n = 0;
      for (std::size_t i = 0; i < before.size(); ++i) n += before[i] != after[i];
      return n;
    };
    const auto loss = trains_generator ? step.generator_loss : step.discriminator_loss;
    const GanNetwork& own = trains_generator ? static_cast<const GanNetwork&>(generator) : discriminator;
    const GanNetwork& other = trains_generator ? static_cast<const GanNetwork&>(discriminator) : generator;
    const auto updates = sgd(own.parameters(), g.gradients(loss, own.parameters()), 0.1);
    EXPECT_EQ(changed(other.parameters(), updates), 0);
    EXPECT_EQ(changed(own.parameters(), updates), static_cast<int>(own.parameters().size()));
  }
}

TEST(Gan, BothLearnInOneRunAndStatisticsFollow) {
  GanModel model({.seed = 2});
  DigitBatches batches(draw_digits(64, 1), 8, 1);
  const auto variables = model.graph().variables();
  const auto statistics = values(model.graph(), model.generator().statistics());
  const NDArray before = model.draw(3, 7);
  EXPECT_EQ(before.shape(), (Shape{3, 28, 28}));
  double first = 0, last = 0;
  for (int i = 0; i < 12; ++i) {
    const auto losses = model.train(batches.next().images);
    (i == 0 ? first : last) = losses.discriminator;
    EXPECT_GT(losses.generator, 0);
  }
  // Telling drawn digits from noise is soon learnt.
  EXPECT_LT(last, first);
  const auto moved = values(model.graph(), model.generator().statistics());
  for (std::size_t i = 0; i < moved.size(); ++i) EXPECT_NE(moved[i], statistics[i]) << i;
  const NDArray after = model.draw(3, 7), again = model.draw(3, 7), other = model.draw(3, 8), more = model.draw(5, 7);
  const auto pixels = [](const NDArray& a) { return std::vector<float>(a.elements<float>().begin(), a.elements<float>().end()); };
  EXPECT_NE(pixels(before), pixels(after));
  EXPECT_EQ(pixels(after), pixels(again));
  EXPECT_NE(pixels(after), pixels(other));
  for (float p : pixels(more)) EXPECT_TRUE(p >= 0 && p <= 1) << p;

  const Folder folder;
  model.save(folder / "w", false);
  GanModel loaded({.seed = 9});
  loaded.load(folder / "w");
  EXPECT_EQ(pixels(loaded.draw(3, 7)), pixels(after));
  DigitsModel digits;
  digits.save(folder / "d");
  expect_run_error([&] { loaded.load(folder / "d"); }, "not weights of the generator");
}

TEST(Gan, ScoresCountWhatAClassifierIsSureOf) {
  DigitsModel classifier;
  const Digits digits = draw_digits(600, 3);
  train(classifier, digits, {.steps = 60});
  const Digits test = draw_digits(100, 4);
  NDArray images(f32, {100, 28, 28});
  const auto from = std::as_const(test.images).elements<std::uint8_t>();
  const auto to = images.elements<float>();
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<float>(from[i]) / 255.0f;
  const GanScore s = score(classifier, images);
  EXPECT_EQ(s.images, 100);
  EXPECT_GT(s.recognised, 40);
  std::int64_t sum = 0;
  for (auto n : s.of_each) sum += n;
  EXPECT_EQ(sum, s.recognised);
  std::ranges::fill(to, 0.5f);
  EXPECT_LT(std::ranges::count_if(score(classifier, images).of_each, [](auto n) { return n > 0; }), 2);
}

}  // namespace
}  // namespace weft::apps::apps_gan_test
