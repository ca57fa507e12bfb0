#include <weft/primitives/edlines.h>

#include "compile/backend.h"
#include "primitives/edlines_validate.h"
#include "team.h"

#include <weft/weft.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace weft::edlines_test {
namespace {

struct Vertex {
  double x, y;
};

/// A picture in which `inside` says which points are bright; pixels hold how much of them is.
template <class Inside> NDArray drawn(std::int64_t width, std::int64_t height, Inside&& inside, double dark = 0.2, double bright = 0.8) {
  constexpr int parts = 8;
  NDArray picture(u8, {height, width});
  auto* pixel = picture.elements<std::uint8_t>().data();
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x) {
      int count = 0;
      for (int i = 0; i < parts * parts; ++i)
        count += inside(static_cast<double>(x) + (i % parts + 0.5) / parts - 0.5, static_cast<double>(y) + (i / parts + 0.5) / parts - 0.5);
      *pixel++ = static_cast<std::uint8_t>(std::lround(255 * (dark + (bright - dark) * count / (parts * parts))));
    }
  return picture;
}

/// What lies to the right of the line through p at an angle is bright; the share of each pixel is exact along one axis.
NDArray half_plane(std::int64_t size, Vertex p, double angle) {
  constexpr int parts = 64;
  const double c = std::cos(angle), s = std::sin(angle);
  NDArray picture(u8, {size, size});
  auto* pixel = picture.elements<std::uint8_t>().data();
  for (std::int64_t y = 0; y < size; ++y)
    for (std::int64_t x = 0; x < size; ++x) {
      double share = 0;
      for (int i = 0; i < parts; ++i) {
        const double step = (i + 0.5) / parts - 0.5, dx = static_cast<double>(x) - p.x, dy = static_cast<double>(y) - p.y;
        const double beyond = std::abs(c) >= std::abs(s) ? c * dy - s * (dx + step) : c * (dy + step) - s * dx;
        share += std::clamp(0.5 + beyond / std::max(std::abs(c), std::abs(s)), 0.0, 1.0) / parts;
      }
      *pixel++ = static_cast<std::uint8_t>(std::lround(255 * (0.2 + 0.6 * share)));
    }
  return picture;
}

/// What lies to the right of all sides.
auto convex(std::vector<Vertex> corners) {
  return [corners](double x, double y) {
    for (std::size_t i = 0; i < corners.size(); ++i) {
      const Vertex a = corners[i], b = corners[(i + 1) % corners.size()];
      if ((b.x - a.x) * (y - a.y) - (b.y - a.y) * (x - a.x) < 0) return false;
    }
    return true;
  };
}

/// A regular polygon, clockwise as seen.
std::vector<Vertex> regular(int corners, Vertex middle, double radius, double turn) {
  std::vector<Vertex> v;
  for (int i = 0; i < corners; ++i) {
    const double a = turn + 2 * std::numbers::pi * i / corners;
    v.push_back({middle.x + radius * std::cos(a), middle.y + radius * std::sin(a)});
  }
  return v;
}

NDArray noise(std::int64_t width, std::int64_t height, unsigned seed) {
  NDArray picture(u8, {height, width});
  std::mt19937 random(seed);
  for (auto& v : picture.elements<std::uint8_t>()) v = static_cast<std::uint8_t>(random() >> 24);
  return picture;
}

/// A few polygons, for tests of what must not depend on how the picture is held.
NDArray scene(std::int64_t width = 161, std::int64_t height = 129) {
  const auto a = convex(regular(3, {50, 60}, 45, 0.3)), b = convex(regular(4, {110, 75}, 40, 0.5));
  return drawn(width, height, [&](double x, double y) { return a(x, y) || b(x, y); });
}

double distance(Vertex p, Vertex a, Vertex b) {
  return std::abs((b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x)) / std::hypot(b.x - a.x, b.y - a.y);
}
double distance(const LineSegment& l, Vertex a, Vertex b) { return std::max(distance(Vertex{l.x0, l.y0}, a, b), distance(Vertex{l.x1, l.y1}, a, b)); }

bool are_equal(const LineSegment& a, const LineSegment& b) {
  return a.x0 == b.x0 && a.y0 == b.y0 && a.x1 == b.x1 && a.y1 == b.y1 && a.strength == b.strength;
}
void expect_equal(const EDLinesResult& a, const EDLinesResult& b) {
  EXPECT_TRUE(std::ranges::equal(a.lines, b.lines, are_equal)) << a.lines.size() << " and " << b.lines.size() << " lines";
}
/// Each line of one has one of the other on the same straight line whose ends are no farther away.
void expect_near(const std::vector<LineSegment>& a, const std::vector<LineSegment>& b, double apart) {
  ASSERT_EQ(a.size(), b.size());
  for (const LineSegment& l : a)
    EXPECT_TRUE(std::ranges::any_of(b,
                                    [&](const LineSegment& m) {
                                      return distance(l, {m.x0, m.y0}, {m.x1, m.y1}) < 0.03 && std::hypot(l.x0 - m.x0, l.y0 - m.y0) <= apart &&
                                             std::hypot(l.x1 - m.x1, l.y1 - m.y1) <= apart;
                                    }))
        << l.x0 << " " << l.y0 << " " << l.x1 << " " << l.y1;
}

class EDLinesTest : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    if (const auto why = why_not(GetParam()); !why.empty()) GTEST_SKIP() << why;
  }
  EDLinesResult lines(const NDArray& picture, const EDLinesOptions& options = {}) const { return EDLines(options, {.backend = GetParam()})(picture); }
};
INSTANTIATE_TEST_SUITE_P(Backends, EDLinesTest, ::testing::Values(Backend::reference, Backend::cpu, Backend::cuda), [](const auto& info) {
  return std::string(info.param == Backend::cuda ? "cuda" : info.param == Backend::cpu ? "cpu" : "reference");
});

TEST_P(EDLinesTest, AHalfPlaneHasOneLineWithinATwentiethOfAPixel) {
  for (const double degrees : {0, 10, 30, 45, 60, 80, 90}) {
    const double a = degrees * std::numbers::pi / 180, c = std::cos(a), s = std::sin(a);
    const Vertex p = {63.7, 64.2}, q = {p.x + c, p.y + s};
    const auto found = lines(half_plane(128, p, a)).lines;
    ASSERT_EQ(found.size(), 1u) << degrees;
    EXPECT_LE(distance(found[0], p, q), 0.05) << degrees;
    // From border to border, but for the pixel that gradients need.
    EXPECT_GT(found[0].length(), 124 / std::max(std::abs(c), std::abs(s))) << degrees;
    // The brighter side is the right one.
    EXPECT_GT(c * (found[0].x1 - found[0].x0) + s * (found[0].y1 - found[0].y0), 0) << degrees;
  }
}

TEST_P(EDLinesTest, ARectangleHasFourLines) {
  const std::vector<Vertex> corners = {{30.5, 25.5}, {120.5, 25.5}, {120.5, 95.5}, {30.5, 95.5}};
  const auto found = lines(drawn(150, 120, convex(corners))).lines;
  ASSERT_EQ(found.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    const Vertex a = corners[i], b = corners[(i + 1) % 4];
    const auto is_side = [&](const LineSegment& l) { return distance(l, a, b) < 0.05 && l.length() > std::hypot(b.x - a.x, b.y - a.y) - 6; };
    EXPECT_EQ(std::ranges::count_if(found, is_side), 1) << i;
  }
}

TEST_P(EDLinesTest, APolygonHasALineForEachSide) {
  for (const int sides : {3, 5, 6, 8})
    for (const double turn : {0.1, 0.4}) {
      const auto corners = regular(sides, {100.3, 99.6}, 85, turn);
      const auto found = lines(drawn(200, 200, convex(corners))).lines;
      EXPECT_EQ(found.size(), static_cast<std::size_t>(sides)) << turn;
      for (int i = 0; i < sides; ++i) {
        const Vertex a = corners[static_cast<std::size_t>(i)], b = corners[static_cast<std::size_t>((i + 1) % sides)];
        const double side = std::hypot(b.x - a.x, b.y - a.y);
        const auto is_side = [&](const LineSegment& l) {
          return distance(l, a, b) < 0.15 && l.length() > side - 10 && l.length() < side + 1 &&
                 (l.x1 - l.x0) * (b.x - a.x) + (l.y1 - l.y0) * (b.y - a.y) > 0;
        };
        EXPECT_EQ(std::ranges::count_if(found, is_side), 1) << sides << " sides turned by " << turn << ", side " << i;
      }
    }
}

TEST_P(EDLinesTest, APlainPictureHasNoLinesAndNoEdges) {
  for (const int level : {0, 100, 255}) {
    NDArray picture(u8, {100, 140});
    std::ranges::fill(picture.elements<std::uint8_t>(), static_cast<std::uint8_t>(level));
    const auto found = lines(picture, {.gradient_threshold = 0, .validate = false, .edges = true});
    EXPECT_TRUE(found.lines.empty());
    EXPECT_EQ(std::ranges::count(found.edges.elements<std::uint8_t>(), 0), 100 * 140);
  }
}

TEST_P(EDLinesTest, ValidationLeavesNoLinesOfNoise) {
  const EDLinesOptions all = {.gaussian_sigma = 1, .min_line_length = 0, .max_lines = 1 << 20, .detail_ratio = 1, .gradient_threshold = 0.05};
  std::size_t chance = 0, kept = 0;
  for (const unsigned seed : {1u, 2u, 3u}) {
    const NDArray picture = noise(256, 256, seed);
    EDLinesOptions unvalidated = all;
    unvalidated.validate = false;
    chance += lines(picture, unvalidated).lines.size();
    kept += lines(picture, all).lines.size();
    EXPECT_TRUE(lines(picture).lines.empty());
  }
  EXPECT_GT(chance, 100u);
  EXPECT_LE(kept, 3u);
}

TEST_P(EDLinesTest, StepsHigherThanTheThresholdAllowsAreFound) {
  for (const double threshold : {0.1, 0.2, 0.5}) {
    const double limit = threshold * 2 * std::sqrt(2 * std::numbers::pi) / 8;
    for (const double times : {0.8, 1.2}) {
      const NDArray picture = drawn(
          100, 100, [](double x, double) { return x > 49.5; }, 0.1, 0.1 + times * limit);
      EXPECT_EQ(lines(picture, {.gradient_threshold = threshold}).lines.size(), times > 1 ? 1u : 0u) << threshold << " " << times;
    }
  }
}

TEST_P(EDLinesTest, LinesShorterThanAskedForAreLeftOut) {
  const NDArray picture = drawn(200, 100, convex({{50.5, 30.5}, {130.5, 30.5}, {130.5, 70.5}, {50.5, 70.5}}));
  for (const auto& [least, count] : {std::pair(0, 4), {30, 4}, {50, 2}, {70, 2}, {85, 0}}) {
    const auto found = lines(picture, {.min_line_length = least}).lines;
    EXPECT_EQ(found.size(), static_cast<std::size_t>(count)) << least;
    for (const auto& l : found) EXPECT_GE(l.length(), least);
  }
}

TEST_P(EDLinesTest, LinesThatContinueEachOtherAreJoinedAcrossGapsUpToTheLimit) {
  const auto tops = [&](double gap, double limit) {
    const auto left = convex({{20.5, 60.5}, {100.5 - gap / 2, 60.5}, {100.5 - gap / 2, 140.5}, {20.5, 140.5}});
    const auto right = convex({{100.5 + gap / 2, 60.5}, {180.5, 60.5}, {180.5, 140.5}, {100.5 + gap / 2, 140.5}});
    const NDArray picture = drawn(200, 200, [&](double x, double y) { return left(x, y) || right(x, y); });
    const auto found = lines(picture, {.merge_locality_threshold = limit / std::hypot(200.0, 200.0)}).lines;
    return std::ranges::count_if(found, [](const LineSegment& l) { return distance(l, {0, 60.5}, {1, 60.5}) < 0.3; });
  };
  // Rounded by smoothing, the corners end a few pixels before the gap.
  for (const double gap : {12, 20, 30}) {
    EXPECT_EQ(tops(gap, gap + 8), 1) << gap;
    EXPECT_EQ(tops(gap, gap - 2), 2) << gap;
  }
}

TEST_P(EDLinesTest, ParallelLinesOfOppositeStepsAreNotJoined) {
  const NDArray picture = drawn(150, 100, [](double, double y) { return y > 47.5 && y < 51.5; });
  EXPECT_EQ(lines(picture, {.line_error_threshold = 1, .merge_locality_threshold = 1}).lines.size(), 2u);
}

TEST_P(EDLinesTest, AnErrorAllowsForCurves) {
  const NDArray picture = drawn(300, 300, [](double x, double y) { return std::hypot(x - 150, y - 150) < 110; });
  double before = 0;
  // With a sagitta of twice the error, on both sides of the line.
  for (const double error : {0.5, 1.0, 3.0}) {
    const auto found = lines(picture, {.min_line_length = 0, .line_error_threshold = error / 20}).lines;
    ASSERT_GT(found.size(), 4u);
    double longest = 0;
    for (const auto& l : found) {
      longest = std::max(longest, l.length());
      for (const Vertex p : {Vertex{l.x0, l.y0}, {l.x1, l.y1}}) EXPECT_NEAR(std::hypot(p.x - 150, p.y - 150), 110, error + 0.3);
    }
    EXPECT_GT(longest, before);
    EXPECT_LE(longest, 2 * std::sqrt(2 * 110 * (2 * error + 0.5)));
    before = longest;
  }
}

TEST_P(EDLinesTest, ACurveTighterThanTheShortestLineHasNoLines) {
  const auto disc = [&](double radius) { return drawn(300, 300, [&](double x, double y) { return std::hypot(x - 150, y - 150) < radius; }); };
  for (const double radius : {30, 50}) EXPECT_TRUE(lines(disc(radius)).lines.empty()) << radius;
  // A chord of 32 pixels is off by half a pixel in the mean where the radius is 76.
  EXPECT_GT(lines(disc(120)).lines.size(), 8u);
}

TEST_P(EDLinesTest, ASlantedLineMayHaveFewerPixelsThanItIsLong) {
  // The sides are 44 pixels long, and have 31.
  EXPECT_EQ(lines(drawn(100, 100, convex(regular(4, {49.5, 49.5}, 44 / std::sqrt(2), 0)))).lines.size(), 4u);
}

TEST_P(EDLinesTest, StraightEdgesNeedNoError) {
  for (const double degrees : {0, 10, 30, 45, 80})
    EXPECT_EQ(lines(half_plane(128, {63.7, 64.2}, degrees * std::numbers::pi / 180), {.line_error_threshold = 0}).lines.size(), 1u) << degrees;
}

TEST_P(EDLinesTest, TheStrongestLinesAreKept) {
  const NDArray picture = drawn(260, 260, convex(regular(7, {130, 130}, 120, 0.2)));
  const auto all = lines(picture).lines;
  ASSERT_EQ(all.size(), 7u);
  EXPECT_TRUE(std::ranges::is_sorted(all, std::greater{}, &LineSegment::strength));
  for (const std::size_t most : {0u, 1u, 3u, 7u, 8u}) {
    const auto found = lines(picture, {.max_lines = static_cast<std::int64_t>(most)}).lines;
    EXPECT_TRUE(std::ranges::equal(found, std::span(all).first(std::min(most, all.size())), are_equal));
  }
}

TEST_P(EDLinesTest, StrengthIsLengthTimesGradient) {
  const auto found = lines(drawn(
                               128, 128, [](double x, double) { return x > 63.5; }, 0.25, 0.75))
                         .lines;
  ASSERT_EQ(found.size(), 1u);
  // A step of 0.5, smoothed by 2 pixels and the pixel's own extent.
  EXPECT_NEAR(found[0].strength / found[0].length(), 8 * 0.5 / (2 * std::sqrt(2 * std::numbers::pi)), 0.05);
}

TEST_P(EDLinesTest, MirroredAndTurnedPicturesHaveTheirLinesMirroredAndTurned) {
  // 129 pixels: the rows and columns of the detail ratio are so from both sides.
  const NDArray picture = scene(129, 129);
  const EDLinesOptions options = {.min_line_length = 20};
  const auto found = lines(picture, options).lines;
  ASSERT_GE(found.size(), 6u);
  const auto moved = [&](const std::function<Vertex(Vertex)>& f, bool mirrors) {
    std::vector<LineSegment> to;
    for (const LineSegment& l : found) {
      const Vertex a = f({l.x0, l.y0}), b = f({l.x1, l.y1});
      to.push_back(mirrors ? LineSegment{b.x, b.y, a.x, a.y, l.strength} : LineSegment{a.x, a.y, b.x, b.y, l.strength});
    }
    return to;
  };
  const NDArray mirrored = picture.slice(1, 128, -1, -1), upside_down = picture.slice(0, 128, -1, -1);
  expect_near(lines(mirrored, options).lines, moved([](Vertex v) { return Vertex{128 - v.x, v.y}; }, true), 2);
  expect_near(lines(upside_down, options).lines, moved([](Vertex v) { return Vertex{v.x, 128 - v.y}; }, true), 2);
  expect_near(lines(picture.transpose(0, 1), options).lines, moved([](Vertex v) { return Vertex{v.y, v.x}; }, true), 2);
  expect_near(lines(mirrored.transpose(0, 1), options).lines, moved([](Vertex v) { return Vertex{v.y, 128 - v.x}; }, false), 2);
}

TEST_P(EDLinesTest, AClipRectangleIsAPictureOfItsOwn) {
  const NDArray picture = scene();
  const PixelRectangle clip = {21, 13, 101, 90};
  const auto found = lines(picture, {.clip = clip, .edges = true});
  const auto part = lines(picture.slice(0, 13, 103).slice(1, 21, 122), {.edges = true});
  ASSERT_FALSE(found.lines.empty());
  EXPECT_EQ(found.edges.shape(), Shape({129, 161}));
  EXPECT_EQ(found.edges.slice(0, 13, 103).slice(1, 21, 122).copy().str(), part.edges.str());
  ASSERT_EQ(found.lines.size(), part.lines.size());
  for (std::size_t i = 0; i < found.lines.size(); ++i) {
    const auto &a = found.lines[i], &b = part.lines[i];
    EXPECT_TRUE(a.x0 == b.x0 + 21 && a.y0 == b.y0 + 13 && a.x1 == b.x1 + 21 && a.y1 == b.y1 + 13 && a.strength == b.strength);
  }
}

TEST_P(EDLinesTest, AClipRectangleIsCutAtThePicture) {
  const NDArray picture = scene();
  const auto with = [&](PixelRectangle clip) { return lines(picture, {.clip = clip}); };
  constexpr auto most = std::numeric_limits<std::int64_t>::max(), least = std::numeric_limits<std::int64_t>::min();
  expect_equal(with({-20, -30, 300, 300}), lines(picture));
  expect_equal(with({0, 0, most, most}), lines(picture));
  expect_equal(with({-most, -most, most, most}), {});
  expect_equal(with({least, 0, most, most}), {});
  expect_equal(with({most, most, most, most}), {});
  expect_equal(with({-50, -10, 150, 100}), with({0, 0, 100, 90}));
  expect_equal(with({80, 40, 500, 500}), with({80, 40, 81, 89}));
  for (const PixelRectangle outside : {PixelRectangle{161, 0, 50, 50}, {-50, 0, 50, 129}, {0, 500, 50, 50}, {10, 10, 0, 50}, {10, 10, 2, 50}})
    EXPECT_TRUE(with(outside).lines.empty());
}

TEST_P(EDLinesTest, EveryElementTypeAndChannelCountGivesTheSameLines) {
  const NDArray picture = scene();
  const auto found = lines(picture).lines;
  const NDArray grey = picture.cast(f32);
  for (float& v : NDArray(grey).elements<float>()) v /= 255;
  NDArray wide = picture.cast(u16);
  for (auto& v : wide.elements<std::uint16_t>()) v = static_cast<std::uint16_t>(v * 257);
  for (const NDArray& same : {wide, grey, grey.cast(f16)}) expect_near(lines(same).lines, found, 0.05);
  for (const std::int64_t channels : {1, 2, 3, 4}) {
    NDArray many(u8, {129, 161, channels});
    many.assign(picture.reshape({129, 161, 1}).broadcast_to({129, 161, channels}));
    // Alpha is of no concern.
    if (channels % 2 == 0) many.slice(2, channels - 1, channels).assign(noise(161, 129, 5).reshape({129, 161, 1}));
    expect_near(lines(many).lines, found, 0.05);
    expect_near(lines(many.transpose(0, 2).copy().transpose(0, 2)).lines, found, 0.05);
  }
}

TEST_P(EDLinesTest, ColoursBecomeGreyByTheirWeights) {
  NDArray picture(u8, {100, 100, 3});
  auto* at = picture.elements<std::uint8_t>().data();
  for (int i = 0; i < 100 * 100; ++i) at[3 * i + (i % 100 < 50 ? 0 : 1)] = 200;  // red, then green: a step of 200/255 (0.587 - 0.299)
  const auto found = lines(picture).lines;
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NEAR(found[0].strength / found[0].length(), 200 / 255.0 * (0.587 - 0.299) * 8 / (2 * std::sqrt(2 * std::numbers::pi)), 0.03);
  EXPECT_TRUE(lines(picture, {.gradient_threshold = 0.4}).lines.empty());
}

TEST_P(EDLinesTest, FloatsAreCutOffAndNotANumberIsNothing) {
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const DType type : {f32, f16}) {
    NDArray wild(f32, {80, 90}), tame(f32, {80, 90});
    std::mt19937 random(7);
    for (std::size_t i = 0; i < 80 * 90; ++i) {
      const bool is_bright = i % 90 > 40;
      wild.elements<float>()[i] = is_bright ? std::array{infinity, 3.0f, 1.0f}[random() % 3] : std::array{nan, -infinity, -0.5f, 0.0f}[random() % 4];
      tame.elements<float>()[i] = is_bright;
    }
    const auto found = lines(wild.cast(type));
    EXPECT_EQ(found.lines.size(), 1u);
    expect_equal(found, lines(tame.cast(type)));
  }
}

TEST_P(EDLinesTest, EdgesLieWhereThePictureChanges) {
  const auto found = lines(drawn(128, 128, [](double x, double y) { return std::hypot(x - 64, y - 64) < 40; }), {.edges = true});
  int count = 0;
  for (int y = 0; y < 128; ++y)
    for (int x = 0; x < 128; ++x) {
      const auto edge = found.edges.elements<std::uint8_t>()[static_cast<std::size_t>(128 * y + x)];
      EXPECT_TRUE(edge == 0 || edge == 255);
      if (!edge) continue;
      ++count;
      EXPECT_NEAR(std::hypot(x - 64, y - 64), 40, 1.5);
    }
  EXPECT_GT(count, 210);  // 2 pi 40 / (average of 1 and sqrt 2 pixels)
}

TEST_P(EDLinesTest, TinyPicturesHaveNoLines) {
  for (const auto& [height, width] : {std::pair(0, 0), {0, 50}, {50, 0}, {1, 1}, {1, 100}, {100, 1}, {2, 2}, {2, 100}, {3, 3}, {5, 4}}) {
    const auto found =
        lines(noise(width, height, 1), {.min_line_length = 0, .detail_ratio = 1, .gradient_threshold = 0, .validate = false, .edges = true});
    EXPECT_TRUE(found.lines.empty());
    EXPECT_EQ(found.edges.shape(), Shape({height, width}));
    EXPECT_EQ(found.endpoints().shape(), Shape({0, 4}));
  }
}

TEST_P(EDLinesTest, OptionsAtTheirLimitsGiveLinesInsideThePicture) {
  std::mt19937 random(3);
  const auto one_of = [&](std::initializer_list<double> v) { return v.begin()[random() % v.size()]; };
  const auto whole = [&](std::initializer_list<std::int64_t> v) { return v.begin()[random() % v.size()]; };
  const int rounds = GetParam() == Backend::reference ? 5 : 60;
  for (int round = 0; round < rounds; ++round) {
    const std::int64_t width = 3 + static_cast<std::int64_t>(random() % 90), height = 3 + static_cast<std::int64_t>(random() % 90);
    const NDArray picture = round % 3 == 0 ? scene().slice(0, 30, 30 + height).slice(1, 40, 40 + width) : noise(width, height, random());
    const EDLinesOptions options = {.gaussian_sigma = one_of({0.0, 0.3, 2.0, 9.0}),
                                    .min_line_length = whole({0, 1, 20, std::numeric_limits<std::int64_t>::max()}),
                                    .max_lines = whole({0, 10, std::numeric_limits<std::int64_t>::max()}),
                                    .detail_ratio = whole({1, 2, 33, std::numeric_limits<std::int64_t>::max()}),
                                    .gradient_threshold = one_of({0.0, 0.1, 6.0, 1e300}),
                                    .line_error_threshold = one_of({0.0, 0.05, 1e300}),
                                    .merge_locality_threshold = one_of({0.0, 0.01, 1e300}),
                                    .validate = random() % 2 == 0,
                                    .edges = true};
    const auto found = lines(picture, options);
    EXPECT_TRUE(std::ranges::is_sorted(found.lines, std::greater{}, &LineSegment::strength));
    const NDArray ends = found.endpoints();
    ASSERT_EQ(ends.shape(), Shape({static_cast<std::int64_t>(found.lines.size()), 4}));
    for (std::size_t i = 0; i < ends.elements<std::int32_t>().size(); ++i) {
      const std::int64_t v = ends.elements<std::int32_t>()[i];
      EXPECT_TRUE(v >= 0 && v < (i % 2 == 0 ? width : height)) << v << " in " << width << " x " << height;
    }
  }
}

TEST_P(EDLinesTest, PicturesOnADeviceGiveTheSameLines) {
  if (GetParam() != Backend::cuda) GTEST_SKIP() << "arrays are on the host";
  expect_equal(EDLines()(scene().to(Device::cuda())), lines(scene()));
}

TEST_P(EDLinesTest, GoesWithAQueueInItsTurn) {
  const EDLines find({.edges = true}, {.backend = GetParam()});
  Graph g;
  const Tensor x = g.placeholder({dynamic, dynamic}, u8), inverted = bit_not(x);
  const NDArray picture = scene(), other = scene(129, 129);
  Queue queue;
  CommandBuffer buffer(queue);
  const auto first = find.encode(buffer, picture);
  const NDArray between = buffer.encode(g, {{x, picture}}, std::vector{inverted}, {}, {.backend = GetParam()})[0];
  const auto second = find.encode(buffer, between), third = find.encode(buffer, other), none = find.encode(buffer, NDArray(u8, {0, 7}));
  buffer.commit();
  buffer.wait();
  expect_equal(*first, find(picture));
  expect_equal(*second, find(between));
  expect_equal(*third, find(other));
  EXPECT_EQ(second->lines.size(), first->lines.size());
  EXPECT_TRUE(none->lines.empty());
  EXPECT_TRUE(std::ranges::equal(third->edges.elements<std::uint8_t>(), find(other).edges.elements<std::uint8_t>()));
}

TEST_P(EDLinesTest, AnObjectServesSeveralThreadsAtOnce) {
  const EDLines find({}, {.backend = GetParam()});
  std::vector<NDArray> pictures;
  std::vector<EDLinesResult> alone;
  for (const int size : {100, 129, 150}) alone.push_back(find(pictures.emplace_back(scene(size, size))));
  std::vector<std::thread> threads;
  std::vector<EDLinesResult> found(9);
  for (std::size_t i = 0; i < found.size(); ++i) threads.emplace_back([&, i] { found[i] = find(pictures[i % 3]); });
  for (auto& t : threads) t.join();
  for (std::size_t i = 0; i < found.size(); ++i) expect_equal(found[i], alone[i % 3]);
}

TEST(EDLines, LinesAreTheSameBitsForAnyNumberOfThreads) {
  if (const auto why = why_not(Backend::cpu); !why.empty()) GTEST_SKIP() << why;
  const NDArray picture = drawn(700, 500, [](double x, double y) { return std::sin(x / 9) * std::sin(y / 31 + x / 200) > 0.1; });
  const EDLinesOptions options = {.detail_ratio = 4, .edges = true};
  EDLinesResult alone;
  {
    const Team team(1);
    alone = EDLines(options, {.backend = Backend::cpu})(picture);
  }
  ASSERT_GT(alone.lines.size(), 20u);
  for (const int threads : {2, 3, 8}) {
    const Team team(threads);
    const auto found = EDLines(options, {.backend = Backend::cpu})(picture);
    expect_equal(found, alone);
    EXPECT_TRUE(std::ranges::equal(found.edges.elements<std::uint8_t>(), alone.edges.elements<std::uint8_t>()));
  }
}

TEST(EDLines, NewSizesCompileNoKernels) {
  if (const auto why = why_not(Backend::cpu); !why.empty()) GTEST_SKIP() << why;
  const EDLines find({}, {.backend = Backend::cpu});
  find(scene(160, 120));
  Graph g;  // what counts kernels counts those of the process
  const auto before = g.cache_statistics().kernels_compiled;
  for (const int size : {90, 121, 260}) find(scene(size, size + 3));
  EXPECT_EQ(g.cache_statistics().kernels_compiled, before);
}

TEST(EDLines, FalseAlarmsAreTheTailOfTheBinomialDistribution) {
  edlines::Validation validation(NDArray(u8, {100, 100}));
  for (const int n : {1, 5, 17, 40})
    for (int k = 0; k <= n; ++k) {
      double tail = 0;
      for (int i = k; i <= n; ++i) {
        double term = std::pow(0.125, i) * std::pow(0.875, n - i);
        for (int j = 0; j < i; ++j) term *= static_cast<double>(n - j) / (i - j);
        tail += term;
      }
      EXPECT_NEAR(validation.false_alarms({n, k}), std::log10(3e8 * tail), 1e-9) << k << " of " << n;
    }
}

TEST(EDLines, RefusesOptionsThatMakeNoSense) {
  const auto error = [](const EDLinesOptions& options) -> std::string {
    try {
      EDLines{options};
    } catch (const GraphError& e) { return e.what(); }
    return "no error";
  };
  const double nan = std::nan("");
  EXPECT_EQ(error({.gaussian_sigma = -1}), "edlines: gaussian_sigma is -1.000000, expects 0 to 64 pixels");
  EXPECT_EQ(error({.gaussian_sigma = nan}), "edlines: gaussian_sigma is nan, expects 0 to 64 pixels");
  EXPECT_EQ(error({.min_line_length = -1}), "edlines: min_line_length is -1, expects 0 or more pixels");
  EXPECT_EQ(error({.max_lines = -1}), "edlines: max_lines is -1, expects 0 or more");
  EXPECT_EQ(error({.detail_ratio = 0}), "edlines: detail_ratio is 0, expects 1 or more pixels");
  EXPECT_EQ(error({.gradient_threshold = nan}), "edlines: gradient_threshold is nan, expects 0 or more");
  EXPECT_EQ(error({.line_error_threshold = -0.1}), "edlines: line_error_threshold is -0.100000, expects 0 or more");
  EXPECT_EQ(error({.merge_locality_threshold = nan}), "edlines: merge_locality_threshold is nan, expects 0 or more");
  EXPECT_EQ(error({.clip = PixelRectangle{0, 0, -1, 5}}), "edlines: the clip rectangle is -1 x 5 pixels, expects 0 or more");
}

TEST(EDLines, RefusesWhatIsNoPicture) {
  const auto error = [](const NDArray& picture) -> std::string {
    try {
      EDLines()(picture);
    } catch (const RunError& e) { return e.what(); }
    return "no error";
  };
  const std::string expected = ", expects u8, u16, f16 or f32 [height, width] or [height, width, 1..4]";
  EXPECT_EQ(error(NDArray(u8, {10})), "edlines: the picture is u8[10]" + expected);
  EXPECT_EQ(error(NDArray(i32, {10, 10})), "edlines: the picture is i32[10,10]" + expected);
  EXPECT_EQ(error(NDArray(u8, {10, 10, 5})), "edlines: the picture is u8[10,10,5]" + expected);
  EXPECT_EQ(error(NDArray(u8, {10, 10, 0})), "edlines: the picture is u8[10,10,0]" + expected);
  EXPECT_EQ(error(NDArray(u8, {1, 1}).broadcast_to({1 << 16, 1 << 15})),
            "edlines: the picture u8[65536,32768] has more than 2^31 - 1 pixels; give parts of it");
}

}  // namespace
}  // namespace weft::edlines_test
