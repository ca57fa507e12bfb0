// The text tab's side of the server.
#include "file_testing.h"
#include "studio_testing.h"

#include <weft/io.h>

namespace weft::apps::studio {
namespace {

using testing::post;
using testing::wait_for;

/// Weights of a tiny model, a text to train it on, and a studio that knows both.
struct TextStudio {
  weft::testing::Folder folder;
  std::unique_ptr<Studio> studio;

  TextStudio() {
    std::string corpus;
    for (int i = 0; i < 900; ++i) corpus += "abc de\n";
    io::save_file(folder / "corpus.txt", corpus);
    TextModel(Vocabulary(corpus), {.layers = 1, .hidden = 8}).save(folder / "tiny.safetensors", false);
    studio = std::make_unique<Studio>(
        StudioOptions{.server = {.port = 0}, .text = {.weights = {folder / "tiny.safetensors"}, .corpus = folder / "corpus.txt"}});
  }
  int port() const { return studio->port(); }
};

TEST(StudioText, StreamsTextAndStops) {
  const TextStudio s;
  ASSERT_EQ(post(s.port(), "/api/text/generate", {{"text", "ab"}, {"length", 60}, {"weights", "tiny.safetensors"}}).status, 200);
  const Json state = wait_for(s.port(), "text", [](const Json& t) { return t["generating"] == false && t["characters"] == 60; });
  EXPECT_EQ(state["text"].get<std::string>().size(), 60u);
  EXPECT_EQ(state["start"], "ab");
  ASSERT_EQ(post(s.port(), "/api/text/generate", {{"text", "ab"}, {"length", 20000}, {"pace", 1}, {"weights", "tiny.safetensors"}}).status, 200);
  EXPECT_EQ(post(s.port(), "/api/text/temperature", {{"temperature", 2}}).status, 200);
  EXPECT_EQ(post(s.port(), "/api/text/stop", Json::object()).status, 200);
  const Json stopped = wait_for(s.port(), "text", [](const Json& t) { return t["generating"] == false; });
  EXPECT_LT(stopped["characters"], 20000);
  EXPECT_EQ(stopped["temperature"], 2);
}

TEST(StudioText, SaysWhichCharacterIsUnknown) {
  const TextStudio s;
  const auto reply = post(s.port(), "/api/text/generate", {{"text", "aX"}, {"weights", "tiny.safetensors"}});
  EXPECT_EQ(reply.status, 422);
  EXPECT_NE(reply.body["error"].get<std::string>().find("\"X\""), std::string::npos) << reply.body;
  EXPECT_EQ(post(s.port(), "/api/text/generate", {{"text", ""}, {"weights", "tiny.safetensors"}}).status, 400);
  EXPECT_EQ(post(s.port(), "/api/text/generate", {{"weights", "../../etc/passwd"}}).status, 400);
}

TEST(StudioText, TrainsPausesAndGeneratesWithWhatItHasLearnt) {
  const TextStudio s;
  ASSERT_EQ(post(s.port(), "/api/text/play", {{"steps", 100000}, {"layers", 1}, {"hidden", 16}}).status, 200);
  wait_for(s.port(), "text", [](const Json& t) { return t["losses"].size() >= 3; });
  ASSERT_EQ(post(s.port(), "/api/text/generate", {{"text", "ab"}, {"length", 20}, {"weights", "trained here"}}).status, 200);
  wait_for(s.port(), "text", [](const Json& t) { return t["generating"] == false && t["text"].get<std::string>().size() == 20; });
  ASSERT_EQ(post(s.port(), "/api/text/pause", Json::object()).status, 200);
  const Json paused = wait_for(s.port(), "text", [](const Json& t) { return t["training"] == false; });
  EXPECT_EQ(paused["losses"].size(), paused["steps"]);
  httplib::Client client("127.0.0.1", s.port());
  EXPECT_GT(client.Get("/api/text/weights")->body.size(), 1000u);
  EXPECT_TRUE(client.Get("/api/text/corpus")->body.starts_with("abc de\n"));
  ASSERT_EQ(post(s.port(), "/api/text/reset", Json::object()).status, 200);
  EXPECT_EQ(post(s.port(), "/api/text/generate", {{"weights", "trained here"}}).status, 400);
}

TEST(StudioText, ChangesTheDevice) {
  const TextStudio s;
  ASSERT_EQ(post(s.port(), "/api/device", {{"device", "reference"}}).status, 200);
  ASSERT_EQ(post(s.port(), "/api/text/generate", {{"text", "ab"}, {"length", 3}, {"weights", "tiny.safetensors"}}).status, 200);
  wait_for(s.port(), "text", [](const Json& t) { return t["generating"] == false && t["text"].get<std::string>().size() == 3; });
  EXPECT_EQ(testing::everything(s.port())["studio"]["device"], "reference");
  EXPECT_EQ(post(s.port(), "/api/device", {{"device", "abacus"}}).status, 400);
}

}  // namespace
}  // namespace weft::apps::studio
