// `weft image`: what it prints and writes.
#include "command_testing.h"

#include <nlohmann/json.hpp>

#include <cmath>

namespace weft::apps {
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

TEST(WeftImage, RefusesWhatItCanNotUse) {
  const Folder folder;
  save_picture(folder / "in.png");
  expect_failure(weft(folder, "image"), 2, "image needs a subcommand");
  expect_failure(weft(folder, "image distance"), 2, "in is required");
  expect_failure(weft(folder, "image distance" + quoted(folder / "in.png") + " --limit 0"), 2, "--limit");
  expect_failure(weft(folder, "image distance" + quoted(folder / "in.png") + " --threshold 255"), 2, "--threshold");
  expect_failure(weft(folder, "image distance" + quoted(folder / "none.png")), 1, "none.png");
  expect_failure(weft(folder, "image distance" + quoted(folder.with("bad.png", "no picture"))), 1, "bad.png");
  expect_failure(weft(folder, "image distance" + quoted(folder / "in.png") + quoted(folder / "no" / "out.png")), 1, "out.png");
}

}  // namespace
}  // namespace weft::apps
