#include <weft/convolution.h>
#include <weft/elementwise.h>
#include <weft/graph.h>
#include <weft/movement.h>

#include <gtest/gtest.h>

#include <functional>
#include <numeric>

namespace weft::convolution_test {
namespace {

constexpr RunOptions reference{.backend = Backend::reference};
using Sizes = std::vector<std::int64_t>;

std::vector<double> numbers(const NDArray& a) {
  const NDArray d = a.cast(f64).dense();
  return {d.elements<double>().begin(), d.elements<double>().end()};
}

/// Small whole numbers in no obvious order, so that sums are exact.
NDArray scrambled(Shape shape, DType dtype = f64, int seed = 1) {
  NDArray a(f64, shape);
  std::uint32_t state = static_cast<std::uint32_t>(seed) * 2654435761u;
  for (auto& v : a.elements<double>()) state = state * 1664525u + 1013904223u, v = static_cast<double>(state >> 28) - 7;
  return a.cast(dtype);
}

double dot(const NDArray& a, const NDArray& b) {
  const auto x = numbers(a), y = numbers(b);
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

/// Expects a GraphError whose text has `part`.
template <class F> void expect_refused(F&& f, const std::string& part) {
  try {
    f();
    ADD_FAILURE() << "nothing was thrown, expected: " << part;
  } catch (const GraphError& e) { EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what(); }
}

/// NHWC by HWIO from the definition, one output element at a time.
std::vector<double> convolve(const NDArray& x, const NDArray& w, Sizes stride, Sizes dilation, Sizes low, Sizes out, std::int64_t groups = 1) {
  const auto xs = numbers(x), ws = numbers(w);
  const Shape &a = x.shape(), &b = w.shape();
  std::vector<double> y;
  for (int n = 0; n < a[0]; ++n)
    for (int p = 0; p < out[0]; ++p)
      for (int q = 0; q < out[1]; ++q)
        for (int o = 0; o < b[3]; ++o) {
          double sum = 0;
          for (int h = 0; h < b[0]; ++h)
            for (int v = 0; v < b[1]; ++v)
              for (int i = 0; i < b[2]; ++i) {
                const auto r = p * stride[0] + h * dilation[0] - low[0], c = q * stride[1] + v * dilation[1] - low[1];
                const auto channel = o / (b[3] / groups) * b[2] + i;
                if (r >= 0 && r < a[1] && c >= 0 && c < a[2])
                  sum += xs.at(static_cast<std::size_t>(((n * a[1] + r) * a[2] + c) * a[3] + channel)) *
                         ws.at(static_cast<std::size_t>(((h * b[1] + v) * b[2] + i) * b[3] + o));
              }
          y.push_back(sum);
        }
  return y;
}

NDArray run(Graph& g, const Feeds& feeds, Tensor t) { return g.run(feeds, {t}, {}, reference)[0].copy(); }

TEST(Convolution, ValidSlidesTheWindowInside) {
  Graph g;
  const Tensor x = g.constant(NDArray::of<float>({1, 3, 3, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9})),
               w = g.constant(NDArray::of<float>({2, 2, 1, 1}, {1, 10, 100, 1000}));
  EXPECT_EQ(numbers(run(g, {}, conv2d(x, w))), (std::vector<double>{5421, 6532, 8754, 9865}));
}

TEST(Convolution, AgreesWithTheDefinition) {
  struct Case {
    ConvOptions options;
    Shape x, w;
    Sizes stride, dilation, low, out;
  };
  const Case cases[] = {
      {{.strides = {2, 1}, .pads = {{1, 0}, {2, 1}}}, {2, 7, 5, 3}, {3, 2, 3, 4}, {2, 1}, {1, 1}, {1, 2}, {3, 7}},
      {{.dilations = {2, 3}, .pads = {{2, 2}}}, {1, 6, 9, 2}, {3, 2, 2, 3}, {1, 1}, {2, 3}, {2, 2}, {6, 10}},
      {{.strides = {2}, .padding = Padding::same}, {1, 5, 6, 1}, {3, 3, 1, 2}, {2, 2}, {1, 1}, {1, 0}, {3, 3}},
      {{.strides = {2}, .padding = Padding::same_lower}, {1, 5, 6, 1}, {3, 3, 1, 2}, {2, 2}, {1, 1}, {1, 1}, {3, 3}},
      {{.padding = Padding::same}, {1, 4, 4, 1}, {2, 4, 1, 1}, {1, 1}, {1, 1}, {0, 1}, {4, 4}},
      {{.groups = 2, .padding = Padding::valid}, {1, 4, 4, 6}, {2, 2, 3, 4}, {1, 1}, {1, 1}, {0, 0}, {3, 3}},
      {{.strides = {5}}, {1, 4, 4, 1}, {2, 2, 1, 1}, {5, 5}, {1, 1}, {0, 0}, {1, 1}},
  };
  for (const auto& c : cases) {
    Graph g;
    const NDArray x = scrambled(c.x), w = scrambled(c.w, f64, 2);
    const Tensor y = conv2d(g.constant(x), g.constant(w), c.options);
    EXPECT_EQ(y.shape(), (Shape{c.x[0], c.out[0], c.out[1], c.w[3]}));
    EXPECT_EQ(numbers(run(g, {}, y)), convolve(x, w, c.stride, c.dilation, c.low, c.out, c.options.groups)) << c.x.str() << c.w.str();
  }
}

TEST(Convolution, LayoutsHoldTheSameNumbers) {
  Graph g;
  const NDArray x = scrambled({2, 5, 4, 3}, f32), w = scrambled({3, 2, 3, 4}, f32, 2);
  const ConvOptions options{.strides = {2, 1}, .pads = {{1, 1}}};
  const NDArray expected = run(g, {}, conv2d(g.constant(x), g.constant(w), options));
  ConvOptions first = options;
  first.layout = "NCHW", first.weights_layout = "OIHW";
  const int to_first[] = {0, 3, 1, 2}, to_oihw[] = {3, 2, 0, 1};
  const Tensor y = conv2d(g.constant(x.transpose(to_first)), g.constant(w.transpose(to_oihw)), first);
  EXPECT_EQ(numbers(run(g, {}, y)), numbers(expected.transpose(to_first)));
}

TEST(Convolution, OneAndThreeDimensionsArePartsOfTwo) {
  Graph g;
  const NDArray x = scrambled({2, 6, 1, 3}), w = scrambled({3, 1, 3, 2}, f64, 2);
  const auto expected = numbers(run(g, {}, conv2d(g.constant(x), g.constant(w), {.strides = {2, 1}, .pads = {{1, 1}, {0, 0}}})));
  EXPECT_EQ(numbers(run(g, {}, conv1d(g.constant(x.reshape({2, 6, 3})), g.constant(w.reshape({3, 3, 2})), {.strides = {2}, .pads = {{1, 1}}}))),
            expected);
  const Tensor y = conv3d(g.constant(x.reshape({2, 1, 6, 1, 3})), g.constant(w.reshape({1, 3, 1, 3, 2})),
                          {.strides = {1, 2, 1}, .pads = {{0, 0}, {1, 1}, {0, 0}}});
  EXPECT_EQ(y.shape(), (Shape{2, 1, 3, 1, 2}));
  EXPECT_EQ(numbers(run(g, {}, y)), expected);
}

TEST(Convolution, EveryDimensionOfThreeMovesByItsOwnOptions) {
  // Weights of a single 1 pick elements.
  Graph g;
  const NDArray x = scrambled({1, 4, 5, 6, 1});
  NDArray w(f64, {2, 2, 2, 1, 1});
  w.elements<double>()[7] = 1;
  const NDArray y =
      run(g, {}, conv3d(g.constant(x), g.constant(w), {.strides = {1, 2, 3}, .dilations = {3, 2, 1}, .pads = {{0, 0}, {1, 0}, {0, 1}}}));
  EXPECT_EQ(y.shape(), (Shape{1, 1, 2, 2, 1}));
  const auto xs = numbers(x);
  for (std::size_t h = 0; h < 2; ++h)
    for (std::size_t v = 0; v < 2; ++v) EXPECT_EQ(numbers(y)[h * 2 + v], xs[3 * 30 + (h * 2 + 1) * 6 + v * 3 + 1]);
}

TEST(Convolution, IntegersWrap) {
  Graph g;
  const Tensor x = g.constant(100.0, {1, 2, 1}, i8), w = g.constant(2.0, {2, 1, 1}, i8);
  EXPECT_EQ(numbers(run(g, {}, conv1d(x, w))), (std::vector<double>{-112}));
  const Tensor largest = g.constant(Scalar(~std::uint64_t{0}), {3, 1, 1}, u64);
  EXPECT_EQ(numbers(run(g, {}, conv1d(reshape(largest, {1, 3, 1}), largest))), (std::vector<double>{3}));
}

TEST(Convolution, DepthwiseConvolvesEachChannelByItself) {
  Graph g;
  const NDArray x = scrambled({1, 3, 3, 2}), w = scrambled({2, 2, 1, 4}, f64, 2);
  EXPECT_EQ(numbers(run(g, {}, depthwise_conv2d(g.constant(x), g.constant(w)))), convolve(x, w, {1, 1}, {1, 1}, {0, 0}, {2, 2}, 2));
}

const ConvOptions adjoint_cases[] = {
    {},
    {.strides = {2, 3}, .pads = {{1, 2}, {0, 1}}},
    {.dilations = {2, 1}, .groups = 2, .pads = {{2, 0}}},
    {.strides = {2}, .padding = Padding::same},
    {.strides = {3, 2}, .dilations = {1, 2}, .padding = Padding::same_lower},
    {.strides = {2}, .groups = 2, .padding = Padding::same, .layout = "NCHW", .weights_layout = "OIHW"},
};

TEST(Convolution, DerivativesAreItsAdjoints) {
  for (const auto& options : adjoint_cases) {
    Graph g;
    const bool first = options.layout == "NCHW";
    const std::int64_t in = 4 / options.groups;
    const NDArray xv = scrambled(first ? Shape{2, 4, 7, 8} : Shape{2, 7, 8, 4}),
                  wv = scrambled(first ? Shape{6, in, 3, 2} : Shape{3, 2, in, 6}, f64, 2);
    const Tensor x = g.constant(xv), w = g.constant(wv), y = conv2d(x, w, options);
    const NDArray cv = scrambled(y.shape(), f64, 3);
    const Tensor c = g.constant(cv), dx = conv2d_data_gradient(c, w, x, options), dw = conv2d_weights_gradient(x, c, w, options);
    EXPECT_EQ(dx.type(), x.type());
    EXPECT_EQ(dw.type(), w.type());
    const double product = dot(run(g, {}, y), cv);
    EXPECT_EQ(dot(run(g, {}, dx), xv), product);
    EXPECT_EQ(dot(run(g, {}, dw), wv), product);
  }
}

/// The quantities that equal <c, y> by linearity of y in each operand, or differ where a derivative is wrong.
std::vector<double> pairings(Graph& g, const Feeds& feeds, Tensor y, std::initializer_list<Tensor> operands) {
  std::vector<Tensor> terms{y};
  for (std::size_t i = 0; const Tensor d : g.gradients(y, operands)) terms.push_back(d * *(operands.begin() + i++));
  const RunResult r = g.run(feeds, terms, {}, reference);
  std::vector<double> sums;
  for (const auto& a : r) {
    const auto v = numbers(a);
    sums.push_back(std::accumulate(v.begin(), v.end(), 0.0));
  }
  return sums;
}

TEST(Convolution, TheFamilyIsClosedUnderDifferentiation) {
  for (const auto& options : adjoint_cases) {
    Graph g;
    const bool first = options.layout == "NCHW";
    const std::int64_t in = 4 / options.groups;
    const Tensor x = g.placeholder(first ? Shape{dynamic, 4, dynamic, 8} : Shape{dynamic, dynamic, 8, 4}, f64);
    const Tensor w = g.placeholder(first ? Shape{6, in, dynamic, 2} : Shape{dynamic, 2, in, 6}, f64);
    const NDArray xv = scrambled(first ? Shape{2, 4, 7, 8} : Shape{2, 7, 8, 4}),
                  wv = scrambled(first ? Shape{6, in, 3, 2} : Shape{3, 2, in, 6}, f64, 2);
    const Tensor y = conv2d(x, w, options);
    const NDArray cv = scrambled(run(g, {{x, xv}, {w, wv}}, y).shape(), f64, 3);
    const Tensor c = g.placeholder(Shape::unranked(), f64);
    const Feeds feeds{{x, xv}, {w, wv}, {c, cv}};
    const auto forward = pairings(g, feeds, y * c, {x, w});
    EXPECT_EQ(forward[1], forward[0]);
    EXPECT_EQ(forward[2], forward[0]);
    const auto data = pairings(g, feeds, conv2d_data_gradient(c, w, x, options) * x, {c, w});
    EXPECT_EQ(data[0], forward[0]);
    EXPECT_EQ(data[1], data[0]);
    EXPECT_EQ(data[2], data[0]);
    const auto weights = pairings(g, feeds, conv2d_weights_gradient(x, c, w, options) * w, {x, c});
    EXPECT_EQ(weights[0], forward[0]);
    EXPECT_EQ(weights[1], weights[0]);
    EXPECT_EQ(weights[2], weights[0]);
  }
}

TEST(Convolution, TransposedHasDerivatives) {
  Graph g;
  const Tensor x = g.placeholder({1, 3, 2, 4}, f64), w = g.placeholder({3, 3, 2, 4}, f64), c = g.placeholder({1, 8, 5, 2}, f64);
  const Feeds feeds{{x, scrambled({1, 3, 2, 4})}, {w, scrambled({3, 3, 2, 4}, f64, 2)}, {c, scrambled({1, 8, 5, 2}, f64, 3)}};
  const auto p = pairings(g, feeds, conv_transpose2d(x, w, {.strides = {2}, .output_sizes = {8, 5}}) * c, {x, w});
  EXPECT_NE(p[0], 0);
  EXPECT_EQ(p[1], p[0]);
  EXPECT_EQ(p[2], p[0]);
}

TEST(Convolution, SecondDerivativesAreThoseOfTheSquare) {
  Graph g;
  const Tensor x = g.placeholder({1, dynamic, 1}, f64), w = g.placeholder({2, 1, 1}, f64);
  const Feeds feeds{{x, NDArray::of<double>({1, 3, 1}, {1, 2, 3})}, {w, NDArray::of<double>({2, 1, 1}, {5, 7})}};
  // y = (19, 31); the derivative of |y|^2 by x is 2 (5*19, 7*19 + 5*31, 7*31).
  const Tensor y = conv1d(x, w), dx = g.gradients(square(y), {x})[0];
  EXPECT_EQ(numbers(run(g, feeds, dx)), (std::vector<double>{190, 576, 434}));
  // <dx, x> = 2 |y|^2.
  EXPECT_EQ(numbers(run(g, feeds, g.gradients(dx * x, {x})[0])), (std::vector<double>{380, 1152, 868}));
}

TEST(Convolution, TransposedIsTheDataGradientOfTheDescribedConvolution) {
  Graph g;
  const NDArray wv = scrambled({3, 3, 2, 4});
  const Tensor w = g.constant(wv), y = g.constant(scrambled({1, 3, 2, 4}, f64, 2));
  const Tensor natural = conv_transpose2d(y, w, {.strides = {2}}), larger = conv_transpose2d(y, w, {.strides = {2}, .output_sizes = {8, 6}});
  EXPECT_EQ(natural.shape(), (Shape{1, 7, 5, 2}));
  EXPECT_EQ(larger.shape(), (Shape{1, 8, 6, 2}));
  EXPECT_EQ(numbers(run(g, {}, natural)), numbers(run(g, {}, conv2d_data_gradient(y, w, g.constant(0.0, {1, 7, 5, 2}, f64), {.strides = {2}}))));
  EXPECT_EQ(numbers(run(g, {}, larger).slice(1, 0, 7).slice(2, 0, 5)), numbers(run(g, {}, natural)));
  EXPECT_EQ(conv_transpose2d(y, w, {.strides = {2}, .padding = Padding::same}).shape(), (Shape{1, 6, 4, 2}));
  EXPECT_EQ(conv_transpose1d(g.constant(0.0, {2, 5, 3}), g.constant(0.0, {4, 1, 3}), {.strides = {3}, .pads = {{1, 0}}}).shape(), (Shape{2, 15, 1}));
}

TEST(Convolution, UnknownSizesAreFoundWhenFed) {
  Graph g;
  const Tensor x = g.placeholder({dynamic, dynamic, 6, 2}, f64), w = g.placeholder({3, dynamic, 2, 3}, f64);
  const ConvOptions options{.strides = {2}, .padding = Padding::same};
  const Tensor y = conv2d(x, w, options);
  EXPECT_EQ(y.type().str(), "f64[?,?,3,3]");
  EXPECT_EQ(conv2d(x, w).type().str(), "f64[?,?,?,3]");
  EXPECT_EQ(conv2d(g.placeholder(Shape::unranked(), f64), w, options).type().str(), "f64[?,?,?,3]");
  const Tensor dx = conv2d_data_gradient(y, w, x, options), dw = conv2d_weights_gradient(x, y, w, options),
               up = conv_transpose2d(y, w, {.strides = {2}, .padding = Padding::same});
  EXPECT_EQ(dx.type().str(), "f64[?,?,6,2]");
  EXPECT_EQ(dw.type().str(), "f64[3,?,2,3]");
  EXPECT_EQ(up.type().str(), "f64[?,?,6,2]");
  const NDArray xv = scrambled({2, 5, 6, 2}), wv = scrambled({3, 2, 2, 3}, f64, 2);
  const RunResult r = g.run({{x, xv}, {w, wv}}, {y, dx, dw, up}, {}, reference);
  EXPECT_EQ(numbers(r[y]), convolve(xv, wv, {2, 2}, {1, 1}, {1, 0}, {3, 3}));
  EXPECT_EQ(r[dx].shape(), (Shape{2, 5, 6, 2}));
  EXPECT_EQ(r[dw].shape(), (Shape{3, 2, 2, 3}));
  EXPECT_EQ(r[up].shape(), (Shape{2, 6, 6, 2}));
}

TEST(Convolution, EmptyBatchesChannelsAndImagesGiveEmptyOrZeroResults) {
  Graph g;
  const Tensor w = g.constant(1.0, {3, 3, 2, 4}), none = g.constant(0.0, {0, 5, 5, 2}), flat = g.constant(0.0, {1, 0, 5, 2});
  EXPECT_EQ(run(g, {}, conv2d(none, w)).shape(), (Shape{0, 3, 3, 4}));
  EXPECT_EQ(run(g, {}, conv2d(flat, w, {.padding = Padding::same})).shape(), (Shape{1, 0, 5, 4}));
  EXPECT_EQ(numbers(run(g, {}, conv2d_weights_gradient(none, g.constant(0.0, {0, 3, 3, 4}), w))), std::vector<double>(72, 0));
  EXPECT_EQ(numbers(run(g, {}, conv1d(g.constant(0.0, {1, 3, 0}), g.constant(0.0, {2, 0, 1})))), (std::vector<double>{0, 0}));
}

TEST(Convolution, ErrorsNameOperationOperandsAndTheRemedy) {
  Graph g;
  const Tensor images = g.placeholder({dynamic, 28, 28, 1}), w = g.constant(0.0, {5, 5, 3, 32});
  g.scope("stem", [&] {
    expect_refused([&] { conv2d(images, w, {.padding = Padding::same}); },
                   "conv2d \"stem\": weights f32[5,5,3,32] expect 3 input channels, images f32[?,28,28,1] have 1 (at convolution_test.cpp:");
  });
  expect_refused([&] { conv2d(images, g.constant(0.0, {5, 5, 32})); }, "conv2d: weights f32[5,5,32] have rank 3, expects 4 (HWIO)");
  expect_refused([&] { conv3d(images, w); }, "conv3d: operand f32[?,28,28,1] has rank 4, expects 5 (NDHWC)");
  expect_refused(
      [&] {
        conv2d(images, g.constant(0.0, {29, 1, 1, 4}));
      },
      "conv2d: a window of 29 doesn't fit into the padded size 28 of spatial dimension 0");
  expect_refused([&] { conv2d(images, g.constant(0.0, {0, 1, 1, 4})); }, "conv2d: the window of weights [0,1,1,4] is empty");
  expect_refused([&] { conv2d(images, g.constant(0.0, {1, 1, 1, 4}, f16)); }, "have different element types; cast one of them");
  expect_refused([&] { conv2d(images, w, {.groups = 2}); },
                 "conv2d: weights f32[5,5,3,32] expect 6 input channels (3 in each of 2 groups), images f32[?,28,28,1] have 1");
  expect_refused(
      [&] {
        conv2d(g.placeholder({1, 4, 4, 6}), g.constant(0.0, {1, 1, 3, 5}), {.groups = 2});
      },
      "conv2d: 5 output channels can't be divided into 2 groups");
  expect_refused([&] { conv_transpose2d(images, w); },
                 "conv_transpose2d: weights f32[5,5,3,32] give 32 output channels, images f32[?,28,28,1] have 1");
  expect_refused(
      [&] {
        conv_transpose2d(g.placeholder({1, 3, 3, 32}), w, {.strides = {2}, .output_sizes = {12, 9}});
      },
      "along spatial dimension 0 data of 12 gives 4 results, not 3");
  expect_refused(
      [&] {
        conv2d_weights_gradient(images, g.placeholder({3, 24, 23, 8}), g.placeholder({5, 5, 1, 8}));
      },
      "conv2d_weights_gradient: operands f32[?,28,28,1], f32[3,24,23,8] and f32[5,5,1,8]: along spatial dimension 1 data of 28 gives 24 results, not "
      "23");
}

TEST(Convolution, RefusesOptionsThatDoNotFit) {
  Graph g;
  const Tensor x = g.placeholder({1, 8, 8, 2}), w = g.constant(0.0, {3, 3, 2, 4});
  expect_refused([&] { conv2d(x, w, {.strides = {1, 2, 3}}); }, "conv2d: 3 strides are given for 2 spatial dimensions (at convolution_test.cpp:");
  expect_refused([&] { conv2d(x, w, {.strides = {0}}); }, "conv2d: strides of 0 are not 1 or more");
  expect_refused([&] { conv2d(x, w, {.dilations = {-1}}); }, "conv2d: dilations of -1 are not 1 or more");
  expect_refused([&] { conv2d(x, w, {.groups = 0}); }, "conv2d: groups 0 are not 1 or more");
  expect_refused([&] { conv2d(x, w, {.pads = {{-1, 0}}}); }, "conv2d: pads -1 and 0 are not 0 or more");
  expect_refused([&] { conv2d(x, w, {.padding = Padding::same, .pads = {{1, 1}}}); }, "conv2d: pads are given, but padding is same");
  expect_refused([&] { conv2d(x, w, {.layout = "NCDHW"}); }, "conv2d: layout NCDHW is neither NHWC nor NCHW");
  expect_refused(
      [&] {
        depthwise_conv2d(g.placeholder({1, 8, 8, dynamic}), w);
      },
      "depthwise_conv2d: operand f32[1,8,8,?] has an unknown number of channels");
  expect_refused(
      [&] {
        conv_transpose2d(g.placeholder({1, 8, 8, 4}), w, {.output_sizes = {3}});
      },
      "conv_transpose2d: 1 output sizes are given for 2 spatial dimensions");
}

TEST(Convolution, ShapesThatBuildingCouldNotKnowAreCheckedWhenFed) {
  Graph g;
  const Tensor x = g.placeholder(Shape::unranked()), y = conv2d(x, g.constant(1.0, {3, 3, 2, 4})).named("stem");
  try {
    run(g, {{x, NDArray(f32, {1, 8, 8, 3})}}, y);
    FAIL() << "nothing was thrown";
  } catch (const RunError& e) {
    EXPECT_NE(std::string(e.what()).find("conv2d \"stem\": weights f32[3,3,2,4] expect 2 input channels, images f32[1,8,8,3] have 3"),
              std::string::npos)
        << e.what();
  }
}

}  // namespace
}  // namespace weft::convolution_test
