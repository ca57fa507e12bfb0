// The text model: characters and batches, learning, generating, saving and going on.
#include "apps/text_training.h"
#include "file_testing.h"

#include <weft/io.h>

#include <cmath>
#include <cstring>
#include <string>

#include <sys/wait.h>

namespace weft::apps::apps_text_test {
namespace {

using testing::expect_run_error;
using testing::Folder;
using testing::text_of;

TEST(TextModel, CharactersAreThoseOfUtf8) {
  const std::string text = "a\u00e9\u20ac\U0001F600a";
  const Vocabulary v(text);
  EXPECT_EQ(v.size(), 4);
  EXPECT_EQ(v.encode(text), (std::vector<std::int32_t>{0, 1, 2, 3, 0}));
  EXPECT_EQ(v.character(2), "\u20ac");
  EXPECT_EQ(Vocabulary(v.text()).text(), v.text());
  expect_run_error([&] { v.encode("b"); }, "\"b\" does not occur");
  for (const char* broken : {"a\x80", "a\xc3", "a\xe2\x82", "a\xff", "a\xc0\x80"}) expect_run_error([&] { characters_of(broken); }, "byte 1");
}

TEST(TextModel, StreamsAreReadOnFromStepToStep) {
  std::vector<std::int32_t> text(27);
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<std::int32_t>(i);
  TextBatches batches(text, 3, 2);  // streams of 13: 4 steps of 3 and one more
  EXPECT_EQ(batches.steps_per_epoch(), 4);
  const auto& second = batches.of_step(1);
  const auto now = second.characters.elements<std::int32_t>(), next = second.next.elements<std::int32_t>();
  EXPECT_EQ(std::vector(now.begin(), now.end()), (std::vector<std::int32_t>{3, 16, 4, 17, 5, 18}));
  EXPECT_EQ(std::vector(next.begin(), next.end()), (std::vector<std::int32_t>{4, 17, 5, 18, 6, 19}));
  EXPECT_EQ(second.keeps.elements<float>()[0], 1);
  EXPECT_EQ(batches.of_step(4).keeps.elements<float>()[1], 0);
  EXPECT_EQ(batches.of_step(4).characters.elements<std::int32_t>()[1], 13);
  expect_run_error([&] { TextBatches(text, 13, 2); }, "27 characters");
}

/// Its letters follow each other in a cycle.
const std::string cycle = [] {
  std::string s;
  for (int i = 0; i < 200; ++i) s += "abcd";
  return s;
}();

constexpr TextModelOptions small{.layers = 2, .hidden = 12, .sequence = 8, .batch = 4, .dropout = 0.2, .seed = 3};

std::vector<std::byte> bytes_of(TextModel& model, const Folder& folder) {
  model.save(folder / "w", false);
  return io::load_file(folder / "w");
}

TEST(TextModel, AModelLearnsACycleAndGoesOnWithIt) {
  TextModelOptions o = small;
  o.dropout = 0;
  TextModel model(Vocabulary(cycle), o);
  const SplitText text = split_text(model.vocabulary().encode(cycle));
  EXPECT_EQ(text.validation.size(), 80u);
  const double before = model.loss(text.validation);
  EXPECT_NEAR(before, std::log(4), 0.3);
  const auto done = train(model, text, {.schedule = {.steps = 120, .learning_rate = 0.02}, .validate_every = 50});
  EXPECT_EQ(done.losses.size(), 120u);
  EXPECT_EQ(done.validations.size(), 3u);
  EXPECT_LT(done.validations.back().second, 0.05);

  const auto spoken = [&](TextModel& m, double temperature, std::uint64_t seed) {
    m.begin(m.vocabulary().encode("cd"), seed);
    std::string s;
    for (int i = 0; i < 12; ++i) s += m.vocabulary().character(m.generate(temperature));
    return s;
  };
  EXPECT_EQ(spoken(model, 0.1, 1), "abcdabcdabcd");
  EXPECT_EQ(spoken(model, 5, 1), spoken(model, 5, 1));
  EXPECT_NE(spoken(model, 5, 1), spoken(model, 5, 2));

  const Folder folder;
  model.save(folder / "w", true);
  TextModel again = TextModel::load(folder / "w", Backend::automatic);
  EXPECT_EQ(spoken(again, 0.1, 1), "abcdabcdabcd");
  EXPECT_LT(again.loss(text.validation), 0.06);
}

TEST(TextModel, TrainingThatWasStoppedGoesOnToTheSameBits) {
  const Folder folder;
  TextModel whole(Vocabulary(cycle), small), part(Vocabulary(cycle), small), rest(Vocabulary(cycle), small);
  const SplitText text = split_text(whole.vocabulary().encode(cycle));
  const std::filesystem::path checkpoint = folder / "c";
  const auto a = train(whole, text, {.schedule = {.steps = 31}});
  // Stopped in the middle of the second epoch: states of the streams, moments and the state of dropout matter.
  train(part, text, {.schedule = {.steps = 31}, .checkpoint = checkpoint, .progress = [](std::int64_t step, double) { return step < 26; }});
  EXPECT_EQ(rest.restore(checkpoint), 26);
  const auto b = train(rest, text, {.schedule = {.steps = 31, .first = 26}});
  ASSERT_EQ(b.losses.size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(b.losses[i], a.losses[26 + i]);
  EXPECT_EQ(bytes_of(rest, folder), bytes_of(whole, folder));
  EXPECT_NE(bytes_of(part, folder), bytes_of(whole, folder));
}

TEST(TextModel, FilesOfOtherModelsAreRefusedAndChangeNothing) {
  const Folder folder;
  TextModel model(Vocabulary(cycle), small);
  const auto before = bytes_of(model, folder);
  TextModelOptions other = small;
  other.hidden = 16;
  TextModel larger(Vocabulary(cycle), other), foreign(Vocabulary("xyz"), small);
  larger.save_checkpoint(folder / "c", 5);
  expect_run_error([&] { model.restore(folder / "c"); }, "had another hidden");
  foreign.save_checkpoint(folder / "c", 5);
  expect_run_error([&] { model.restore(folder / "c"); }, "had another text");
  other = small;
  other.batch = 5;
  TextModel(Vocabulary(cycle), other).save_checkpoint(folder / "c", 5);
  expect_run_error([&] { model.restore(folder / "c"); }, "stream1");
  EXPECT_EQ(bytes_of(model, folder), before);
  io::save_safetensors(folder / "d", {{{"x", NDArray(f32, {2})}}, {}});
  expect_run_error([&] { TextModel::load(folder / "d", Backend::automatic); }, "not weights of a text model");
  io::save_safetensors(folder / "d", {{{"x", NDArray(f32, {2})}}, {{"layers", "1"}, {"hidden", "2"}, {"vocabulary", "ab"}}});
  expect_run_error([&] { TextModel::load(folder / "d", Backend::automatic); }, "there are 1 tensors, the model has 6");
}

struct Outcome {
  int status;
  std::string out, err;
};

Outcome weft(const Folder& folder, const std::string& arguments) {
  const std::string line = "cd '" + (folder / "").string() + "' && '" WEFT_COMMAND "' " + arguments + " >out 2>err";
  const int status = std::system(line.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text_of(folder / "out"), text_of(folder / "err")};
}

TEST(WeftCommand, TrainsOnATextAndGoesOnWithIt) {
  const Folder folder;
  io::save_file(folder / "corpus", cycle);
  const std::string arguments = "train text --corpus corpus --layers 1 --hidden 12 --sequence 8 --batch 4 --lr 0.02 --weights w --steps 60";
  const auto trained = weft(folder, arguments + " --plot p.png --json j");
  ASSERT_EQ(trained.status, 0) << trained.err;
  EXPECT_NE(trained.out.find("corpus: 800 characters, 4 different ones"), std::string::npos) << trained.out;
  EXPECT_NE(trained.out.find("step 60  validation "), std::string::npos) << trained.out;
  EXPECT_FALSE(std::filesystem::exists(folder / "w.checkpoint"));
  EXPECT_EQ(io::load_png(folder / "p.png").shape()[2], 3);
  const auto generated = weft(folder, "generate --weights w --text abc --length 8 --temperature 0.05");
  EXPECT_EQ(generated.out, "abcdabcdabc\n") << generated.err;
  EXPECT_EQ(weft(folder, "generate --weights w --text xyz").status, 1);
  EXPECT_EQ(weft(folder, arguments + " --resume").status, 1);  // there is no checkpoint left
  EXPECT_EQ(weft(folder, "generate --weights w --text ''").status, 1);
}

}  // namespace
}  // namespace weft::apps::apps_text_test
