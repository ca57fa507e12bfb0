// The Digits and GAN tabs' side of the server.
#include "file_testing.h"
#include "studio_testing.h"

#include "apps/digits_data.h"

#include <weft/io.h>

namespace weft::apps::studio {
namespace {

using testing::post;
using testing::wait_for;

/// A little MNIST and a studio that has it.
struct DigitsStudio {
  weft::testing::Folder folder;
  std::unique_ptr<Studio> studio;

  explicit DigitsStudio(bool has_data = true) {
    const Digits train = draw_digits(40, 1), test = draw_digits(30, 2);
    if (has_data) {
      io::save_idx(folder / "train-images-idx3-ubyte", train.images);
      io::save_idx(folder / "train-labels-idx1-ubyte", train.labels);
      io::save_idx(folder / "t10k-images-idx3-ubyte", test.images);
      io::save_idx(folder / "t10k-labels-idx1-ubyte", test.labels);
    }
    studio = std::make_unique<Studio>(StudioOptions{.server = {.port = 0}, .data = (folder / "").string()});
  }
  int port() const { return studio->port(); }
  std::string bytes(const std::string& path) const {
    httplib::Client client("127.0.0.1", port());
    return client.Get(path)->body;
  }
};

/// A vertical stroke.
std::string drawing() {
  std::string pixels(56 * 56, '\0');
  for (std::size_t y = 10; y < 46; ++y)
    for (std::size_t x = 26; x < 31; ++x) pixels[y * 56 + x] = '\xff';
  return pixels;
}

Json classified(int port, const std::string& pixels) {
  httplib::Client client("127.0.0.1", port);
  return Json::parse(client.Post("/api/digits/classify", pixels, "application/octet-stream")->body);
}

TEST(StudioDigits, TrainsToTheEndAndShowsWhatItMisread) {
  const DigitsStudio s;
  ASSERT_EQ(post(s.port(), "/api/digits/play", {{"steps", 4}, {"batch", 8}}).status, 200);
  const Json state = wait_for(s.port(), "digits", [](const Json& d) { return d["accuracy"].is_number() && d["testing"] == false; });
  EXPECT_EQ(state["steps"], 4);
  EXPECT_EQ(state["losses"].size(), 4u);
  EXPECT_EQ(state["playing"], false);
  EXPECT_EQ(state["tested"], 30);
  EXPECT_EQ(s.bytes("/api/digits/mistakes").size(), 784 * state["mistakes"].size());
  EXPECT_NEAR(1 - state["accuracy"].get<double>(), state["wrong"].get<double>() / 30, 1e-12);
  ASSERT_EQ(post(s.port(), "/api/digits/play", {{"steps", 2}}).status, 200);
  EXPECT_EQ(wait_for(s.port(), "digits", [](const Json& d) { return d["steps"] == 6 && d["testing"] == false; })["losses"].size(), 6u);
}

TEST(StudioDigits, JudgesDrawingsBeforeDuringAndAfterTraining) {
  const DigitsStudio s;
  const auto expect_probabilities = [&] {
    const Json result = classified(s.port(), drawing());
    ASSERT_EQ(result["probabilities"].size(), 10u) << result;
    double sum = 0;
    for (const double p : result["probabilities"]) sum += p;
    EXPECT_NEAR(sum, 1, 1e-3);
    EXPECT_EQ(result["seen"].size(), 784u);
  };
  expect_probabilities();
  ASSERT_EQ(post(s.port(), "/api/digits/play", {{"steps", 100000}, {"batch", 4}}).status, 200);
  wait_for(s.port(), "digits", [](const Json& d) { return d["losses"].size() >= 2; });
  expect_probabilities();
  ASSERT_EQ(post(s.port(), "/api/digits/pause", Json::object()).status, 200);
  expect_probabilities();
  EXPECT_EQ(classified(s.port(), std::string(56 * 56, '\0'))["empty"], true);
  EXPECT_TRUE(classified(s.port(), "abc").contains("error"));
}

TEST(StudioDigits, OffersDrawnDigitsWhenThereIsNoData) {
  const DigitsStudio s(false);
  const auto reply = post(s.port(), "/api/digits/play", {{"steps", 1}});
  EXPECT_EQ(reply.status, 422);
  EXPECT_NE(reply.body["error"].get<std::string>().find("train-images"), std::string::npos) << reply.body;
  wait_for(s.port(), "digits", [](const Json& d) { return d["needs_data"] == true; });
  ASSERT_EQ(post(s.port(), "/api/digits/play", {{"steps", 1}, {"batch", 2}, {"source", "drawn"}}).status, 200);
  const Json state = wait_for(s.port(), "digits", [](const Json& d) { return d["losses"].size() == 1; });
  EXPECT_EQ(state["needs_data"], false);
  EXPECT_NE(state["data"].get<std::string>().find("draws itself"), std::string::npos);
}

TEST(StudioDigits, IsUntrainedAfterAReset) {
  const DigitsStudio s;
  const Json before = classified(s.port(), drawing())["probabilities"];
  ASSERT_EQ(post(s.port(), "/api/digits/play", {{"steps", 2}, {"batch", 8}}).status, 200);
  wait_for(s.port(), "digits", [](const Json& d) { return d["accuracy"].is_number(); });
  EXPECT_NE(classified(s.port(), drawing())["probabilities"], before);
  ASSERT_EQ(post(s.port(), "/api/digits/reset", Json::object()).status, 200);
  EXPECT_EQ(classified(s.port(), drawing())["probabilities"], before);
  const Json state = testing::everything(s.port())["digits"];
  EXPECT_EQ(state["steps"], 0);
  EXPECT_TRUE(state["accuracy"].is_null());
}

TEST(StudioGan, DrawsTheSameNoiseAsItLearnsAndNewSamplesWhenAsked) {
  const DigitsStudio s;
  ASSERT_EQ(post(s.port(), "/api/gan/play", {{"batch", 2}}).status, 200);
  wait_for(s.port(), "gan", [](const Json& g) { return g["steps"] >= 2; });
  ASSERT_EQ(post(s.port(), "/api/gan/pause", Json::object()).status, 200);
  const Json state = wait_for(s.port(), "gan", [](const Json& g) { return g["playing"] == false; });
  EXPECT_EQ(state["sheet_steps"], state["steps"]);
  EXPECT_EQ(state["generator"].size(), state["steps"]);
  EXPECT_EQ(state["discriminator"].size(), state["steps"]);
  const std::string sheet = s.bytes("/api/gan/sheet");
  EXPECT_EQ(sheet.size(), 64u * 784);
  EXPECT_EQ(s.bytes("/api/gan/samples"), "");
  ASSERT_EQ(post(s.port(), "/api/gan/sample", Json::object()).status, 200);
  const std::string samples = s.bytes("/api/gan/samples");
  EXPECT_EQ(samples.size(), 64u * 784);
  EXPECT_NE(samples, sheet);
  ASSERT_EQ(post(s.port(), "/api/gan/sample", Json::object()).status, 200);
  EXPECT_NE(s.bytes("/api/gan/samples"), samples);
  EXPECT_EQ(s.bytes("/api/gan/sheet"), sheet);
}

}  // namespace
}  // namespace weft::apps::studio
