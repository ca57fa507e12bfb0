// The distance transform: brute force, closed forms, limits, types, layouts, errors.
#include "evaluated.h"
#include "operation.h"
#include "team.h"

#include <weft/distance_transform.h>
#include <weft/elementwise.h>
#include <weft/primitives/distance_transform.h>
#include <weft/queue.h>

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <thread>

namespace weft::distance_transform_test {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();

struct Site {
  std::int64_t row, column;
};

/// One plane with its sites, and what is expected of it.
struct Plane {
  std::int64_t height, width;
  std::vector<Site> sites;

  NDArray pixels() const {
    NDArray image(u8, {height, width});
    for (const auto& s : sites) image.elements<std::uint8_t>()[static_cast<std::size_t>(s.row * width + s.column)] = 1;
    return image;
  }
};

float root(std::int64_t squared) { return static_cast<float>(std::sqrt(static_cast<double>(squared))); }

struct Expected {
  std::vector<float> distances;
  std::vector<std::int64_t> indices;
};

/// Every pixel with every site.
Expected by_brute_force(const Plane& p, double radius = inf) {
  Expected e;
  for (std::int64_t y = 0; y < p.height; ++y)
    for (std::int64_t x = 0; x < p.width; ++x) {
      std::int64_t least = std::numeric_limits<std::int64_t>::max();
      Site closest{-1, p.width - 1};
      for (const auto& s : p.sites) {
        const std::int64_t squared = (y - s.row) * (y - s.row) + (x - s.column) * (x - s.column);
        if (static_cast<double>(squared) > radius * radius) continue;
        const bool is_first = s.column != closest.column ? s.column < closest.column : s.row < closest.row;
        if (squared < least || (squared == least && is_first)) least = squared, closest = s;
      }
      const bool is_found = closest.row >= 0;
      e.distances.push_back(is_found ? root(least) : inf);
      e.indices.push_back(is_found ? closest.row * p.width + closest.column : -1);
    }
  return e;
}

Plane random_plane(std::int64_t height, std::int64_t width, double density, unsigned seed) {
  Plane p{height, width, {}};
  std::mt19937 random(seed);
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x)
      if (random() < density * 0x1p32) p.sites.push_back({y, x});
  return p;
}

Plane few_sites(std::int64_t height, std::int64_t width, int count, unsigned seed) {
  Plane p{height, width, {}};
  std::mt19937 random(seed);
  for (int i = 0; i < count; ++i) p.sites.push_back({static_cast<std::int64_t>(random()) % height, static_cast<std::int64_t>(random()) % width});
  return p;
}

/// Every backend, on any images.
struct DistanceTransforms : ::testing::TestWithParam<NamedBackend> {
  Graph g;
  Tensor images = g.placeholder(Shape::unranked(), u8);
  RunOptions options{.backend = GetParam().backend};

  /// Expects the same bits as `e`, of the distances alone and of them with the sites' places.
  void expect(const Plane& p, const Expected& e, double radius = inf) {
    SCOPED_TRACE(std::to_string(p.height) + "x" + std::to_string(p.width) + ", " + std::to_string(p.sites.size()) + " sites, limit " +
                 std::to_string(radius));
    const auto [distances, indices] = nearest_sites(images, {.search_limit_radius = radius, .index_dtype = i64});
    const auto r = g.run({{images, p.pixels()}}, {distance_transform(images, {.search_limit_radius = radius}), distances, indices}, {}, options);
    const auto all = r[0].elements<float>(), again = r[1].elements<float>();
    const auto places = r[2].elements<std::int64_t>();
    int failures = 0;
    for (std::size_t i = 0; i < all.size() && failures < 3; ++i) {
      if (all[i] == e.distances[i] && again[i] == e.distances[i] && places[i] == e.indices[i]) continue;
      ++failures;
      ADD_FAILURE() << "at " << static_cast<std::int64_t>(i) / p.width << ", " << static_cast<std::int64_t>(i) % p.width << ": " << all[i] << " and "
                    << again[i] << " from " << places[i] << ", expected " << e.distances[i] << " from " << e.indices[i];
    }
  }
  void expect_brute_force(const Plane& p, double radius = inf) { expect(p, by_brute_force(p, radius), radius); }

  std::string distances_of(const NDArray& pixels, DistanceTransformOptions o = {}) {
    const Tensor x = g.placeholder(pixels.shape(), pixels.dtype());
    return g.run({{x, pixels}}, {distance_transform(x, o)}, {}, options)[0].str();
  }
};

INSTANTIATE_TEST_SUITE_P(On, DistanceTransforms, ::testing::ValuesIn(compiling_backends()), [](const auto& i) { return i.param.name; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DistanceTransforms);

TEST_P(DistanceTransforms, AgreeWithBruteForceAtEverySizeUpTo17) {
  g.set_cache_capacity(1);
  for (std::int64_t height = 1; height <= 17; ++height)
    for (std::int64_t width = 1; width <= 17; ++width) {
      const auto seed = static_cast<unsigned>(height * 100 + width);
      expect_brute_force(random_plane(height, width, seed % 3 == 0 ? 0.5 : seed % 3 == 1 ? 0.1 : 0.02, seed));
    }
}

TEST_P(DistanceTransforms, AgreeWithBruteForceUpTo64) {
  for (const double density : {0.9, 0.5, 0.1, 0.01, 0.001})
    for (const auto& [height, width] : {std::pair{64, 64}, {63, 33}, {31, 64}, {14, 57}}) expect_brute_force(random_plane(height, width, density, 7));
}

TEST_P(DistanceTransforms, AgreeWithBruteForceOnLargerImages) {
  expect_brute_force(few_sites(601, 1100, 9, 1));
  expect_brute_force(few_sites(1030, 517, 20, 2));
  expect_brute_force(few_sites(2050, 70, 12, 3));
}

TEST_P(DistanceTransforms, AgreeWithBruteForceWhereNearSitesTurnFar) {
  // Columns of sites that come farther and farther apart, full ones and such as end within the picture.
  for (const std::int64_t apart : {3, 18, 24, 25, 26, 61, 62, 63, 64, 65, 66, 67, 130})
    for (const std::int64_t rows : {37, 21}) {
      Plane p{37, 403, {}};
      for (std::int64_t y = 0; y < rows; ++y)
        for (std::int64_t x = 1; x < p.width; x += apart) p.sites.push_back({y, x});
      expect_brute_force(p);
      expect_brute_force(p, 12.5);
    }
}

TEST_P(DistanceTransforms, OfSimplePicturesHaveClosedForms) {
  const auto expect_that = [&](const Plane& p, auto&& squared) {
    const NDArray d = g.run({{images, p.pixels()}}, {distance_transform(images)}, {}, options)[0];
    std::int64_t wrong = 0;
    for (std::int64_t y = 0; y < p.height; ++y)
      for (std::int64_t x = 0; x < p.width; ++x) {
        const std::int64_t s = squared(y, x);
        wrong += d.elements<float>()[static_cast<std::size_t>(y * p.width + x)] != (s < 0 ? inf : root(s));
      }
    EXPECT_EQ(wrong, 0) << p.height << "x" << p.width;
  };
  const auto square = [](std::int64_t a) { return a * a; };
  for (const auto& [h, w] :
       {std::pair<std::int64_t, std::int64_t>{130, 97}, {300, 301}, {5000, 3}, {3, 5000}, {1, 5000}, {5000, 1}, {2, 70'000}, {70'000, 2}}) {
    expect_that({h, w, {{h / 3, w / 4}}}, [&](auto y, auto x) { return square(y - h / 3) + square(x - w / 4); });
    expect_that({h, w, {{0, 0}, {0, w - 1}, {h - 1, 0}, {h - 1, w - 1}}},
                [&](auto y, auto x) { return square(std::min(y, h - 1 - y)) + square(std::min(x, w - 1 - x)); });
    expect_that({h, w, {}}, [](auto, auto) { return -1; });
    Plane row{h, w, {}}, column{h, w, {}}, all{h, w, {}}, board{h, w, {}};
    for (std::int64_t x = 0; x < w; ++x) row.sites.push_back({h / 2, x});
    for (std::int64_t y = 0; y < h; ++y) column.sites.push_back({y, w / 2});
    for (std::int64_t y = 0; y < h; ++y)
      for (std::int64_t x = 0; x < w; ++x) {
        all.sites.push_back({y, x});
        if ((x + y) % 2 == 0) board.sites.push_back({y, x});
      }
    expect_that(row, [&](auto y, auto) { return square(y - h / 2); });
    expect_that(column, [&](auto, auto x) { return square(x - w / 2); });
    expect_that(all, [](auto, auto) { return 0; });
    expect_that(board, [](auto y, auto x) { return (x + y) % 2; });
  }
}

TEST_P(DistanceTransforms, AreTheRootsOfAllSumsOfTwoSquares) {
  constexpr std::int64_t size = 4100;
  const NDArray d = g.run({{images, Plane{size, size, {{0, 0}}}.pixels()}}, {distance_transform(images)}, {}, options)[0];
  std::int64_t wrong = 0;
  for (std::int64_t y = 0; y < size; ++y)
    for (std::int64_t x = 0; x < size; ++x) wrong += d.elements<float>()[static_cast<std::size_t>(y * size + x)] != root(y * y + x * x);
  EXPECT_EQ(wrong, 0);
}

TEST_P(DistanceTransforms, HaveIndicesOfSitesInStrips) {
  expect_brute_force(few_sites(3, 5000, 4, 5));
  expect_brute_force(few_sites(5000, 3, 4, 6));
  expect_brute_force(few_sites(1, 70'000, 4, 8));
  expect_brute_force(few_sites(66'000, 2, 4, 9));
}

TEST_P(DistanceTransforms, EndAtTheSearchLimit) {
  for (const double radius : {32., 64., 96., 128., 0.5, 1., 1.4142135623730951, 1.7320508075688772, 2.2, 1e-300, 1e18})
    expect_brute_force(few_sites(210, 330, 5, 4), radius);
  expect_brute_force(random_plane(40, 50, 0.05, 1), 2);
}

TEST_P(DistanceTransforms, TakeWhatIsNotZeroForASite) {
  const std::string both = "[[1, 0, 1]]";
  EXPECT_EQ(distances_of(NDArray::of<float>({1, 3}, {0, nan, -0.0f})), "f32[1,3] " + both);
  EXPECT_EQ(distances_of(NDArray::of<float>({1, 3}, {-0.0f, -inf, 0})), "f32[1,3] " + both);
  EXPECT_EQ(distances_of(NDArray::of<float>({1, 3}, {0, std::numeric_limits<float>::denorm_min(), 0})), "f32[1,3] " + both);
  EXPECT_EQ(distances_of(NDArray::of<double>({1, 3}, {0, -std::numeric_limits<double>::denorm_min(), -0.0})), "f32[1,3] " + both);
  EXPECT_EQ(distances_of(NDArray::of<bool>({1, 3}, {false, true, false})), "f32[1,3] " + both);
  EXPECT_EQ(distances_of(NDArray::of<std::int8_t>({1, 3}, {0, -128, 0})), "f32[1,3] " + both);
  EXPECT_EQ(distances_of(NDArray::of<std::uint64_t>({1, 3}, {0, std::uint64_t{1} << 63, 0})), "f32[1,3] " + both);
  EXPECT_EQ(distances_of(NDArray::of<float>({1, 3}, {-0.0f, 5, 0}).cast(f16)), "f32[1,3] " + both);
  EXPECT_EQ(distances_of(NDArray::of<float>({1, 3}, {-0.0f, nan, 0}).cast(bf16)), "f32[1,3] " + both);
}

TEST_P(DistanceTransforms, OfChannelsAndBatchesAreThoseOfEachPlane) {
  std::vector<Plane> planes;
  for (unsigned i = 0; i < 6; ++i) planes.push_back(few_sites(90, 140, 3 + static_cast<int>(i), i));
  NDArray stacked(u8, {2, 3, 90, 140});
  for (std::int64_t i = 0; i < 6; ++i)
    stacked.slice(0, i / 3, i / 3 + 1).slice(1, i % 3, i % 3 + 1).assign(planes[static_cast<std::size_t>(i)].pixels().reshape({1, 1, 90, 140}));
  const int to_last[] = {0, 2, 3, 1};
  const NDArray last = stacked.transpose(to_last).copy();
  const auto first_sites = nearest_sites(images, {.layout = "NCHW"}), last_sites = nearest_sites(images);
  const auto in_planes = g.run({{images, stacked}}, {distance_transform(images, {.layout = "NCHW"}), first_sites.indices}, {}, options);
  const auto beside = g.run({{images, last}}, {distance_transform(images), last_sites.indices}, {}, options);
  for (std::int64_t i = 0; i < 6; ++i) {
    const Expected e = by_brute_force(planes[static_cast<std::size_t>(i)]);
    const auto plane_of = [&](const NDArray& a) { return a.slice(0, i / 3, i / 3 + 1).slice(1, i % 3, i % 3 + 1).copy(); };
    const auto from_back = [&](const NDArray& a) { return plane_of(a.transpose(std::vector<int>{0, 3, 1, 2})); };
    const std::vector<std::int32_t> places(e.indices.begin(), e.indices.end());
    const auto same = [](const auto& expected, const NDArray& got) {
      return std::memcmp(expected.data(), got.data(), expected.size() * sizeof expected[0]) == 0;
    };
    EXPECT_TRUE(same(e.distances, plane_of(in_planes[0]))) << i;
    EXPECT_TRUE(same(places, plane_of(in_planes[1]))) << i;
    EXPECT_TRUE(same(e.distances, from_back(beside[0]))) << i;
    EXPECT_TRUE(same(places, from_back(beside[1]))) << i;
  }
}

TEST_P(DistanceTransforms, AreTheSameForAnyNumberOfThreads) {
  const NDArray pixels = random_plane(700, 900, 0.0005, 3).pixels();
  std::vector<NDArray> first;
  for (const int threads : {1, 2, 3, 7}) {
    const Team team(threads);
    Graph own;
    const Tensor x = own.placeholder(pixels.shape(), u8);
    const auto r = own.run({{x, pixels}}, {distance_transform(x), nearest_sites(x).indices}, {}, options);
    if (first.empty()) first = {r[0], r[1]};
    EXPECT_EQ(std::memcmp(first[0].data(), r[0].data(), static_cast<std::size_t>(r[0].byte_count())), 0) << threads;
    EXPECT_EQ(std::memcmp(first[1].data(), r[1].data(), static_cast<std::size_t>(r[1].byte_count())), 0) << threads;
  }
}

TEST_P(DistanceTransforms, AreRightPast2To31Pixels) {
  if (!std::getenv("WEFT_TEST_LARGE")) GTEST_SKIP() << "takes 12 GB: set WEFT_TEST_LARGE";
  const std::int64_t height = 32'769, width = 65'537;
  NDArray pixels(u8, {height, width});
  pixels.elements<std::uint8_t>().back() = 1;
  const Tensor x = g.placeholder({height, width}, u8);
  const NDArray d = g.run({{x, pixels}}, {distance_transform(x)}, {}, options)[0].to({});
  std::int64_t wrong = 0;
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t c = 0; c < width; ++c) {
      const std::int64_t dy = height - 1 - y, dx = width - 1 - c;
      wrong += reinterpret_cast<const float*>(d.data())[y * width + c] != root(dy * dy + dx * dx);
    }
  EXPECT_EQ(wrong, 0);
}

struct DistanceErrors : ::testing::Test, FedGraph {};

TEST_F(DistanceErrors, SayWhatIsWrong) {
  const Tensor x = g.placeholder({4, 5}, f32);
  const auto because = [](auto&& f, const std::string& text) { expect_error<GraphError>(f, text); };
  for (const double radius : {0., -1., static_cast<double>(nan)})
    because([&] { distance_transform(x, {.search_limit_radius = radius}); }, "expects more than 0");
  because([&] { distance_transform(x, {.layout = "HWC"}); }, "distance_transform: layout HWC is neither NHWC nor NCHW");
  because([&] { distance_transform(g.placeholder({5}, f32)); }, "operand 0 is f32[5], expects images: at least height and width");
  because([&] { distance_transform(g.placeholder({4, 5}, c64)); }, "operand 0 is c64[4,5], expects a real number or bool");
  because([&] { nearest_sites(x, {.index_dtype = u8}); }, "a place is i32 or i64, not u8");
  because([&] { nearest_sites(g.placeholder({1 << 16, 1 << 16}, u8)); }, "don't fit i32; ask for i64");
  because([&] { distance_transform(g.placeholder({1, std::int64_t{1} << 31}, u8)); }, "expects less than 2^31 rows and columns");
  because([&] { g.gradients(distance_transform(x), {x}); }, "distance_transform");
}

TEST_F(DistanceErrors, OfUnknownShapesComeWhenTheyAreKnown) {
  const Tensor x = g.placeholder(Shape::unranked(), u8);
  const Tensor d = distance_transform(x);
  expect_error<RunError>([&] { g.run({{x, NDArray(u8, {3})}}, {d}); }, "expects images: at least height and width");
}

// Without a graph.

struct DistancePrimitive : ::testing::TestWithParam<NamedBackend> {
  const Plane plane = few_sites(150, 210, 6, 11);
  const Expected expected = by_brute_force(plane);
  const DistanceTransform transform{{.index_dtype = i64}, {.backend = GetParam().backend}};

  void expect_same(const NDArray& distances) {
    EXPECT_EQ(distances.type().str(), "f32[150,210]");
    EXPECT_EQ(std::memcmp(distances.data(), expected.distances.data(), expected.distances.size() * sizeof(float)), 0);
  }
  void expect_same(const DistanceTransform::Nearest& n) {
    expect_same(n.distances);
    EXPECT_EQ(std::memcmp(n.indices.data(), expected.indices.data(), expected.indices.size() * sizeof(std::int64_t)), 0);
  }
};

INSTANTIATE_TEST_SUITE_P(On, DistancePrimitive, ::testing::ValuesIn(compiling_backends()), [](const auto& i) { return i.param.name; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DistancePrimitive);

TEST_P(DistancePrimitive, ComputesWhatTheOperationDoes) {
  for (const DType dtype : {u8, f16, f32}) expect_same(transform(plane.pixels().cast(dtype)));
  expect_same(transform.nearest(plane.pixels()));
  NDArray kept(f32, {150, 210});
  transform(plane.pixels(), kept);
  expect_same(kept);
}

TEST_P(DistancePrimitive, TakesRowsNarrowerThanTheirStride) {
  NDArray wide(u8, {300, 512});
  const NDArray part = wide.slice(0, 40, 190).slice(1, 100, 310);
  NDArray(part).assign(plane.pixels());
  expect_same(transform(part));
  NDArray room(f32, {150, 256});
  NDArray into = room.slice(1, 7, 217);
  transform(part, into);
  expect_same(into.copy());
}

TEST_P(DistancePrimitive, GoesWithAQueue) {
  Queue queue;
  CommandBuffer buffer(queue);
  NDArray kept(f32, {150, 210});
  const NDArray made = transform.encode(buffer, plane.pixels());
  transform.encode(buffer, plane.pixels(), kept);
  const auto nearest = transform.encode_nearest(buffer, plane.pixels());
  buffer.commit();
  buffer.wait();
  expect_same(made);
  expect_same(kept);
  expect_same(nearest);
}

TEST_P(DistancePrimitive, IsUsedByManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  std::vector<NDArray> results(6);
  for (std::size_t i = 0; i < results.size(); ++i)
    threads.emplace_back([&, i] { results[i] = transform(i % 2 ? plane.pixels() : plane.pixels().cast(f32)); });
  for (auto& t : threads) t.join();
  for (const auto& r : results) expect_same(r);
}

TEST_P(DistancePrimitive, RefusesWhatTheOperationDoes) {
  expect_error<GraphError>([] { DistanceTransform({.search_limit_radius = 0}); }, "expects more than 0");
  expect_error<RunError>([&] { transform(NDArray(c64, {2, 2})); }, "the images are c64[2,2], expects real numbers or bool");
  expect_error<RunError>([&] { transform(NDArray(u8, {2})); }, "expects images: at least height and width");
  NDArray other(f32, {3, 2});
  expect_error<RunError>([&] { transform(NDArray(u8, {2, 3}), other); }, "its storage is f32[3,2]");
  EXPECT_EQ(transform(NDArray(u8, {0, 4})).type().str(), "f32[0,4]");
}

}  // namespace
}  // namespace weft::distance_transform_test
