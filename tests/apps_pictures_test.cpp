#include "apps/canvas.h"
#include "apps/font.h"
#include "apps/plot.h"
#include "apps/sheet.h"

#include <weft/error.h>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

namespace weft::apps::apps_pictures_test {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

std::int64_t count_pixels(const NDArray& picture, Colour colour) {
  const auto p = picture.elements<std::uint8_t>();
  std::int64_t n = 0;
  for (std::size_t i = 0; i < p.size(); i += 3) n += p[i] == colour.r && p[i + 1] == colour.g && p[i + 2] == colour.b;
  return n;
}

constexpr Colour first_curve = {38, 96, 190}, green = {22, 138, 68}, red = {214, 34, 44};

TEST(Font, EveryPrintableCharacterLooksDifferent) {
  std::set<std::pair<Glyph, bool>> seen;
  for (char c = ' '; c <= '~'; ++c) EXPECT_TRUE(seen.insert({glyph_of(c), descends(c)}).second) << c;
}

TEST(Canvas, DrawsAntiAliasedLinesOfTheirThickness) {
  Canvas canvas(20, 20, {255, 255, 255});
  const Point line[] = {{2, 10}, {18, 10}};
  canvas.polyline(line, 2, {0, 0, 0});
  const auto at = [&](int x, int y) { return canvas.image().elements<std::uint8_t>()[static_cast<std::size_t>(y * 20 + x) * 3]; };
  EXPECT_EQ(at(10, 9), 0);
  EXPECT_EQ(at(10, 10), 0);
  EXPECT_EQ(at(10, 8), 255);
  EXPECT_EQ(at(10, 11), 255);
  const Point between[] = {{2, 15.5}, {18, 15.5}};
  canvas.polyline(between, 2, {0, 0, 0}, 0.5);
  EXPECT_NEAR(at(10, 15), 128, 1);
  EXPECT_NEAR(at(10, 14), 191, 1);
  EXPECT_NEAR(at(10, 16), 191, 1);
}

TEST(Canvas, LeavesOutWhatLiesOutside) {
  Canvas canvas(10, 10, {255, 255, 255});
  const Point line[] = {{-100, -100}, {200, 250}};
  canvas.polyline(line, 3, {0, 0, 0});
  canvas.text(-7, 5, "outside\x80 of it", {0, 0, 0}, 3);
  canvas.text_upwards(8, -4, "outside", {0, 0, 0});
  canvas.fill(-5, -5, 100, 7, {9, 9, 9});
  EXPECT_EQ(count_pixels(canvas.image(), {9, 9, 9}), 20);
}

TEST(Plot, TicksAreRoundNumbers) {
  EXPECT_EQ(ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(ticks(-1, 1, 4), (std::vector<double>{-1, -0.5, 0, 0.5, 1}));
  EXPECT_EQ(ticks(3, 17, 3), (std::vector<double>{5, 10, 15}));
  for (const double scale : {1e-8, 1e-3, 1.0, 1e9}) EXPECT_EQ(ticks(0, 7 * scale, 8).size(), 8u);
}

TEST(Plot, SmoothingKeepsConstantsAndLinesAndSkipsGaps) {
  const std::vector<double> constant(7, 3.5);
  for (const double v : smoothed(constant, 0.9)) EXPECT_NEAR(v, 3.5, 1e-12);
  std::vector<double> line(201);
  for (std::size_t i = 0; i < line.size(); ++i) line[i] = static_cast<double>(i);
  EXPECT_NEAR(smoothed(line, 0.8)[100], 100, 1e-9);  // no lag
  const auto gap = smoothed(std::vector<double>{1, nan, 1}, 0.5);
  EXPECT_EQ(gap[0], 1);
  EXPECT_TRUE(std::isnan(gap[1]));
  EXPECT_EQ(gap[2], 1);
}

TEST(Plot, DrawsItsCurvesInAPictureOfTheGivenSize) {
  const Series series[] = {{.name = "loss", .x = {0, 1, 2}, .y = {3, 1, 2}}};
  const NDArray picture = plot(series, {.title = "t", .x_label = "x", .y_label = "y", .width = 400, .height = 300, .smoothing = 0.5});
  EXPECT_EQ(picture.type().str(), "u8[300,400,3]");
  EXPECT_GT(count_pixels(picture, first_curve), 300);
  EXPECT_GT(count_pixels(picture, {255, 255, 255}), 80000);
}

TEST(Plot, ValuesThatAreNotFiniteLeaveGaps) {
  const double inf = std::numeric_limits<double>::infinity();
  const Series whole[] = {{.x = {0, 1, 2, 3}, .y = {1, 1, 1, 1}}}, broken[] = {{.x = {0, 1, 2, 3}, .y = {1, nan, inf, 1}}};
  EXPECT_LT(count_pixels(plot(broken, {}), first_curve), count_pixels(plot(whole, {}), first_curve) / 10);
  const Series nothing[] = {{.x = {nan}, .y = {nan}}};
  EXPECT_EQ(count_pixels(plot(nothing, {}), first_curve), 0);
  EXPECT_EQ(count_pixels(plot({}, {}), first_curve), 0);
}

TEST(Plot, SeriesOfUnequalLengthAreRefused) {
  const Series series[] = {{.name = "loss", .x = {0, 1}, .y = {3}}};
  EXPECT_THROW(plot(series, {}), RunError);
  EXPECT_THROW(plot({}, {.width = 100, .height = 100}), RunError);
}

TEST(Sheet, MagnifiesImagesAndColoursCaptions) {
  NDArray images(u8, {3, 4, 4});
  images.elements<std::uint8_t>()[0] = 77;
  const Caption captions[] = {{"1", Verdict::right}, {"2 not 3", Verdict::wrong}, {"?"}};
  const NDArray picture = sheet(images, captions, {.title = "three", .columns = 2, .magnification = 5});
  EXPECT_EQ(count_pixels(picture, {77, 77, 77}), 25);
  EXPECT_EQ(count_pixels(picture, {0, 0, 0}), 3 * 400 - 25);
  EXPECT_GT(count_pixels(picture, green), 20);
  EXPECT_GT(count_pixels(picture, red), 100);
  NDArray grey(f32, {1, 1, 3});
  grey.elements<float>()[1] = 0.5f;
  grey.elements<float>()[2] = static_cast<float>(nan);
  EXPECT_EQ(count_pixels(sheet(grey, {}, {.magnification = 2}), {128, 128, 128}), 4);
}

TEST(Sheet, RefusesOtherArraysAndCounts) {
  const Caption captions[] = {{"1"}};
  EXPECT_THROW(sheet(NDArray(u8, {2, 4, 4}), captions), RunError);
  EXPECT_THROW(sheet(NDArray(i32, {2, 4, 4}), {}), RunError);
  EXPECT_THROW(sheet(NDArray(u8, {4, 4}), {}), RunError);
  EXPECT_NO_THROW(sheet(NDArray(u8, {0, 4, 4}), {}));
}

}  // namespace
}  // namespace weft::apps::apps_pictures_test
