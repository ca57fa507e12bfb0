// `weft image`: what it prints and writes.
#include "command_testing.h"

#include <weft/image_file.h>

#include <nlohmann/json.hpp>

#include <cmath>

namespace weft::apps::apps_image_test {
namespace {

using testing::expect_failure;
using testing::Folder;
using testing::weft;

std::string quoted(const std::filesystem::path& path) { return " '" + path.string() + "'"; }

/// Black but for two pixels: one dark and red at 1, 2 and a white one at 5, 7. Opaque.
void save_picture(const std::filesystem::path& path) {
  NDArray picture(u8, {6, 8, 4});
  auto p = picture.elements<std::uint8_t>();
  for (std::size_t i = 3; i < p.size(); i += 4) p[i] = 255;
  p[(1 * 8 + 2) * 4] = 40;
  for (std::size_t c = 0; c < 3; ++c) p[(5 * 8 + 7) * 4 + c] = 255;
  io::save_png(path, picture);
}

TEST(WeftImage, MeasuresDistancesExactly) {
  const Folder folder;
  save_picture(folder / "in.png");
  const auto run = weft(folder, "image distance" + quoted(folder / "in.png") + quoted(folder / "out.npy") + " --json");
  ASSERT_EQ(run.status, 0) << run.err;
  const auto record = nlohmann::json::parse(run.out);
  EXPECT_EQ(record.at("width"), 8);
  EXPECT_EQ(record.at("sites"), 2);
  const NDArray d = io::load_npy(folder / "out.npy");
  EXPECT_EQ(d.type().str(), "f32[6,8]");
  EXPECT_EQ(d.elements<float>()[1 * 8 + 2], 0);
  EXPECT_EQ(d.elements<float>()[0], std::sqrt(5.0f));
  EXPECT_EQ(record.at("farthest"), 5);
}

TEST(WeftImage, ScalesDistancesToGreyAndSaysHow) {
  const Folder folder;
  save_picture(folder / "in.png");
  const auto run = weft(folder, "image distance" + quoted(folder / "in.png") + quoted(folder / "out.png") + " --threshold 100 --limit 5");
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out.substr(0, run.out.find('\n')), "8 x 6 pixels, 1 of them sites; the farthest is 5 pixels from one");
  EXPECT_NE(run.out.find("one step of grey is 0.0196078 pixels"), std::string::npos) << run.out;
  const NDArray grey = io::load_png(folder / "out.png");
  EXPECT_EQ(grey.type().str(), "u8[6,8,1]");
  EXPECT_EQ(grey.elements<std::uint8_t>()[5 * 8 + 7], 0);
  EXPECT_EQ(grey.elements<std::uint8_t>()[5 * 8 + 6], 51);
  EXPECT_EQ(grey.elements<std::uint8_t>()[0], 255) << "nothing lies within the limit";
}

TEST(WeftImage, WritesDistancesIn16BitsAndInStepsAskedFor) {
  const Folder folder;
  save_picture(folder / "in.png");
  const auto written = [&](const std::string& options) {
    const auto run = weft(folder, "image distance" + quoted(folder / "in.png") + quoted(folder / "out.png") + " --json" + options);
    EXPECT_EQ(run.status, 0) << run.err;
    return std::pair(nlohmann::json::parse(run.out).at("step").get<double>(), io::load_image(folder / "out.png", {.keep_16_bits = true}));
  };
  const auto all = written(" --bits 16"), by_step = written(" --bits 16 --step 0.001");
  const NDArray &scaled = all.second, &in_steps = by_step.second;
  EXPECT_EQ(all.first, 5.0 / 65535);
  EXPECT_EQ(scaled.type().str(), "u16[6,8,1]");
  EXPECT_EQ(scaled.elements<std::uint16_t>()[1 * 8 + 2], 0);
  EXPECT_EQ(scaled.elements<std::uint16_t>()[0], std::lround(std::sqrt(5.0) / 5 * 65535));
  EXPECT_EQ(scaled.elements<std::uint16_t>()[5 * 8 + 2], std::lround(4.0 / 5 * 65535));

  EXPECT_DOUBLE_EQ(by_step.first, 0.001);
  EXPECT_EQ(in_steps.elements<std::uint16_t>()[0], 2236);
  EXPECT_EQ(in_steps.elements<std::uint16_t>()[1], std::lround(1000 * std::sqrt(2.0)));

  const NDArray cut_off = written(" --step 0.01").second;
  EXPECT_EQ(cut_off.type().str(), "u8[6,8,1]");
  EXPECT_EQ(cut_off.elements<std::uint8_t>()[0], 224);
  EXPECT_EQ(cut_off.elements<std::uint8_t>()[5 * 8 + 2], 255) << "4 pixels are more than 255 steps";
  const NDArray limited = written(" --bits 16 --step 0.001 --limit 1.5").second;
  EXPECT_EQ(limited.elements<std::uint16_t>()[0], 65535) << "nothing lies within the limit";
}

TEST(WeftImage, MeasuresToBlackPixelsIfInverted) {
  const Folder folder;
  save_picture(folder / "in.png");
  const auto run = weft(folder, "image distance" + quoted(folder / "in.png") + " --invert --json --measure");
  ASSERT_EQ(run.status, 0) << run.err;
  const auto record = nlohmann::json::parse(run.out);
  EXPECT_EQ(record.at("sites"), 46);
  EXPECT_EQ(record.at("farthest"), 1);
  EXPECT_GT(record.at("ms").get<double>(), 0);
}

/// Grey with a white rectangle, whose sides lie at 39.5 and 119.5, 19.5 and 79.5.
void save_rectangle(const std::filesystem::path& path) {
  NDArray picture(u8, {100, 160, 3});
  auto p = picture.elements<std::uint8_t>();
  for (std::size_t y = 0; y < 100; ++y)
    for (std::size_t x = 0; x < 160; ++x)
      for (std::size_t c = 0; c < 3; ++c) p[(y * 160 + x) * 3 + c] = x >= 40 && x < 120 && y >= 20 && y < 80 ? 255 : 100;
  io::save_png(path, picture);
}

TEST(WeftImage, FindsLinesAndWritesThem) {
  const Folder folder;
  save_rectangle(folder / "in.png");
  const auto run = weft(folder, "image lines" + quoted(folder / "in.png") + quoted(folder / "out.png") + " --json" + quoted(folder / "lines.json") +
                                    " --edges" + quoted(folder / "edges.png") + " --measure");
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out.find("160 x 100 pixels, 4 lines of 2"), 0u) << run.out;
  const auto record = nlohmann::json::parse(testing::text_of(folder / "lines.json"));
  ASSERT_EQ(record.at("lines").size(), 4u);
  EXPECT_GT(record.at("ms").get<double>(), 0);
  // The strongest first: the upper or lower side.
  const auto ends = record["lines"][0]["ends"].get<std::vector<double>>();
  EXPECT_NEAR(std::abs(ends[1] - 49.5), 30, 0.05);
  EXPECT_NEAR(std::abs(ends[2] - ends[0]), 80, 5);
  EXPECT_EQ(record["lines"][0]["pixels"][0], std::lround(ends[0]));
  // The line is drawn where the edge is, red on grey.
  const NDArray drawn = io::load_png(folder / "out.png"), edges = io::load_png(folder / "edges.png");
  EXPECT_EQ(drawn.type().str(), "u8[100,160,3]");
  const auto p = drawn.elements<std::uint8_t>();
  for (const std::size_t y : {19u, 20u}) EXPECT_GT(p[(y * 160 + 80) * 3], p[(y * 160 + 80) * 3 + 1] + 60) << y;
  EXPECT_EQ(p[(50 * 160 + 80) * 3], p[(50 * 160 + 80) * 3 + 1]);
  EXPECT_EQ(edges.elements<std::uint8_t>()[20 * 160 + 80] | edges.elements<std::uint8_t>()[19 * 160 + 80], 255);
}

TEST(WeftImage, TakesEveryOptionOfLines) {
  const Folder folder;
  save_rectangle(folder / "in.png");
  const auto lines = [&](const std::string& options) {
    const auto run = weft(folder, "image lines" + quoted(folder / "in.png") + " --json " + options);
    EXPECT_EQ(run.status, 0) << run.err;
    return nlohmann::json::parse(run.out).at("lines").size();
  };
  EXPECT_EQ(lines("--sigma 1 --detail 8 --error 0.1 --merge 0.01 --no-validation"), 4u);
  EXPECT_EQ(lines("--min-length 65"), 2u);
  EXPECT_EQ(lines("--max-lines 3"), 3u);
  EXPECT_EQ(lines("--gradient 1.5"), 0u);
  EXPECT_EQ(lines("--clip 0 0 160 50"), 1u) << "the upright sides are too short there";
}

TEST(WeftImage, RefusesWhatItCanNotUse) {
  const Folder folder;
  save_picture(folder / "in.png");
  expect_failure(weft(folder, "image"), 2, "image needs a subcommand");
  expect_failure(weft(folder, "image distance"), 2, "in is required");
  expect_failure(weft(folder, "image distance" + quoted(folder / "in.png") + " --limit 0"), 2, "--limit");
  expect_failure(weft(folder, "image distance" + quoted(folder / "in.png") + " --threshold 255"), 2, "--threshold");
  expect_failure(weft(folder, "image distance" + quoted(folder / "in.png") + quoted(folder / "out.png") + " --bits 12"), 2, "--bits");
  expect_failure(weft(folder, "image distance" + quoted(folder / "in.png") + quoted(folder / "out.png") + " --step -1"), 2, "--step");
  expect_failure(weft(folder, "image distance" + quoted(folder / "in.png") + " --bits 16"), 1, "are for distances in a picture");
  expect_failure(weft(folder, "image distance" + quoted(folder / "in.png") + quoted(folder / "out.npy") + " --step 1"), 1,
                 "are for distances in a picture");
  expect_failure(weft(folder, "image distance" + quoted(folder / "in.png") + quoted(folder / "out.jpg") + " --bits 16"), 1, "out.jpg");
  expect_failure(weft(folder, "image distance" + quoted(folder / "none.png")), 1, "none.png");
  expect_failure(weft(folder, "image distance" + quoted(folder.with("bad.png", "no picture"))), 1, "bad.png");
  expect_failure(weft(folder, "image distance" + quoted(folder / "in.png") + quoted(folder / "no" / "out.png")), 1, "out.png");
  expect_failure(weft(folder, "image lines"), 2, "in is required");
  expect_failure(weft(folder, "image lines" + quoted(folder / "in.png") + " --detail 0"), 1, "detail_ratio is 0");
  expect_failure(weft(folder, "image lines" + quoted(folder / "in.png") + " --clip 1 2 3"), 2, "--clip");
  expect_failure(weft(folder, "image lines" + quoted(folder / "none.png")), 1, "none.png");
  expect_failure(weft(folder, "image lines" + quoted(folder / "in.png") + " --json" + quoted(folder / "no" / "lines.json")), 1, "lines.json");
}

}  // namespace
}  // namespace weft::apps::apps_image_test
