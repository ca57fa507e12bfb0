// Recurrent layers against what PyTorch 2.15 computes in f64 with the same weights (torch.nn.RNN, LSTM, GRU), and what is refused.
#include "evaluated.h"

#include <weft/weft.h>

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

namespace weft::recurrent_test {
namespace {

// By torch.nn with waves() for its weights, inputs and states. "both" is bidirectional.
const std::vector<double> expected_lstm_one{-0.281276166,  0.281147404,   0.222151667,   -0.0287950281, 0.0771260131, 0.0389039983,
                                            -0.0684437437, 0.103742874,   0.296560069,   0.0490877501,  -0.175368245, 0.20362664,
                                            0.166832696,   -0.0252114044, -0.0608930138, 0.146121315,   0.0298202525, -0.00147036794,
                                            0.152489379,   0.0655958336,  -0.114274034,  0.160020689,   0.258037935,  0.0181798805};
const std::vector<double> expected_lstm_one_cell{0.379342872, 0.0744663195, -0.14012894, 0.455521745, 0.392258796, 0.0232759067};
const std::vector<double> expected_gru_one{-0.741539056, 0.248544581,  0.50242758,   -0.266059934, 0.244615321,  0.658567612,
                                           -0.434683925, 0.130148775,  0.577568972,  0.124768673,  -0.615649164, 0.67477575,
                                           0.209968693,  -0.427525469, -0.179514196, 0.517259511,  0.0913892,    0.0720589297,
                                           0.195107367,  0.461994075,  -0.592267425, 0.468418663,  0.397168605,  -0.215917147};
const std::vector<double> expected_rnn_one{0.0819847386, 0, 0, 0,          1.28947357,  0, 0, 0.629273132, 0.376613468, 0, 0.226395479, 0, 0, 0,
                                           0.949695372,  0, 0, 0.44657974, 0.866752677, 0, 0, 0.293810969, 0,           0};
const std::vector<double> expected_lstm_both{
    -0.281276166,  0.281147404, 0.0346442501,   0.0545218153,   0.222151667, -0.0287950281, 0.162767299,  0.0381781885, 0.0771260131,  0.0389039983,
    -0.0526097293, 0.151435763, -0.0684437437,  0.103742874,    0.114139845, -0.0612122183, 0.296560069,  0.0490877501, 0.0133406523,  0.250884513,
    -0.175368245,  0.20362664,  0.139449874,    0.012647287,    0.166832696, -0.0252114044, 0.0575216876, 0.0407535276, -0.0608930138, 0.146121315,
    -0.0574963092, 0.154462085, 0.0298202525,   -0.00147036794, 0.320050018, -0.025270656,  0.152489379,  0.0655958336, -0.10017763,   -0.100485912,
    -0.114274034,  0.160020689, 0.000421155779, 0.00829510335,  0.258037935, 0.0181798805,  0.186511436,  0.241232798};
const std::vector<double> expected_lstm_both_cell{0.379342872,  0.0744663195, -0.14012894, 0.455521745, 0.392258796,  0.0232759067,
                                                  0.0519029741, 0.193533511,  0.235511373, 0.072240436, -0.153058258, 0.262848452};
const std::vector<double> expected_gru_both{
    -0.741539056, 0.248544581,   -0.097743108, -0.0281427436, 0.50242758,  -0.266059934, 0.199177742,  -0.0812153048, 0.244615321,  0.658567612,
    -0.247217117, 0.129621016,   -0.434683925, 0.130148775,   0.589623741, -0.180630271, 0.577568972,  0.124768673,   -0.195468572, 0.413242701,
    -0.615649164, 0.67477575,    0.351671088,  -0.0833157408, 0.209968693, -0.427525469, 0.0902066151, 0.278776952,   -0.179514196, 0.517259511,
    -0.300415783, -0.0640831403, 0.0913892,    0.0720589297,  0.460193054, -0.138398955, 0.195107367,  0.461994075,   -0.221515739, 0.102719698,
    -0.592267425, 0.468418663,   0.413549361,  -0.278474953,  0.397168605, -0.215917147, 0.0585631144, 0.546270445};
const std::vector<double> expected_rnn_both{
    0.0819847386, 0, 0,           0, 0, 0,           0, 0,           1.28947357, 0, 0.00669095309, 0, 0, 0.629273132, 0, 0.170452013, 0.376613468, 0,
    0.505682357,  0, 0.226395479, 0, 0, 0.426522243, 0, 0,           0,          0, 0.949695372,   0, 0, 0,           0, 0.44657974,  0,           0,
    0.866752677,  0, 0.554873179, 0, 0, 0.293810969, 0, 0.863096194, 0,          0, 0.150719003,   0};
const std::vector<double> expected_lstm_packed{-0.218664173,
                                               0.179771199,
                                               0.0411594276,
                                               0.0599856208,
                                               0.121294712,
                                               -0.0903695616,
                                               0.151837925,
                                               -0.00896037847,
                                               -0.0541144331,
                                               0.089499432,
                                               -0.067824418,
                                               0.202007022,
                                               -0.0645165752,
                                               0.0773774847,
                                               0.146957404,
                                               -0.0558081612,
                                               0,
                                               0,
                                               0,
                                               0,
                                               -0.210509408,
                                               0.222445592,
                                               0.0673745713,
                                               0.03555749,
                                               0.167485204,
                                               -0.0348567735,
                                               0.113612409,
                                               0.0967702544,
                                               0,
                                               0,
                                               0,
                                               0,
                                               0,
                                               0,
                                               0,
                                               0,
                                               0.152181658,
                                               0.0631215144,
                                               -0.0514318425,
                                               0.10752103,
                                               0,
                                               0,
                                               0,
                                               0,
                                               0,
                                               0,
                                               0,
                                               0};
const std::vector<double> expected_lstm_packed_state{0.152181658,  0.0631215144, 0.121294712, -0.0903695616,  -0.210509408, 0.222445592,
                                                     0.0411594276, 0.0599856208, 0.151837925, -0.00896037847, -0.067824418, 0.202007022};

constexpr std::int64_t T = 4, N = 3, I = 5, H = 2;

/// sin(0.7311 i + phase) / 2
NDArray waves(Shape shape, double phase, double scale = 1) {
  NDArray a(f64, shape);
  double i = 0;
  for (auto& e : a.elements<double>()) e = std::sin(0.7311 * i + phase) * 0.5 * scale, i += 1;
  return a;
}

class Recurrent : public ::testing::Test {
 protected:
  Tensor constant(Shape shape, double phase, double scale = 1) { return g.constant(waves(shape, phase, scale)); }
  /// One after the other for each direction, whose phases are one apart.
  Tensor weight(int directions, Shape shape, double phase) {
    std::vector<Tensor> parts;
    for (int d = 0; d < directions; ++d) parts.push_back(constant(shape, phase + d));
    return concat(parts, 0);
  }
  Tensor recurrent(int directions, std::int64_t gates) {
    const Tensor r = weight(directions, {gates * H, H}, 2);
    return directions == 1 ? r : reshape(r, {2, gates * H, H});
  }
  /// [directions, N, H] side by side.
  Tensor state(int directions, double phase) { return reshape(transpose(constant({directions, N, H}, phase), {1, 0, 2}), {N, directions * H}); }
  Tensor x() { return constant({T, N, I}, 0.1, 2); }

  template <class Options> Options options(int directions, std::int64_t gates) {
    Options o;
    o.bidirectional = directions == 2;
    o.input_weight = weight(directions, {gates * H, I}, 1);
    o.initial_state = state(directions, 5);
    return o;
  }

  void expect(Tensor t, const std::vector<double>& expected) {
    for (const auto backend : {Backend::reference, Backend::automatic}) {
      const NDArray value = g.run({}, {t}, {}, {.backend = backend})[0];
      const auto elements = value.elements<double>();
      ASSERT_EQ(elements.size(), expected.size());
      for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(elements[i], expected[i], 1e-8) << i;
    }
  }

  Graph g;
};

TEST_F(Recurrent, LstmsAreThoseOfPyTorch) {
  for (int d : {1, 2}) {
    auto o = options<LstmOptions>(d, 4);
    o.bias = weight(d, {4 * H}, 3) + weight(d, {4 * H}, 4);
    o.initial_cell = state(d, 6);
    const Lstm r = lstm(x(), recurrent(d, 4), o);
    expect(r.y, d == 1 ? expected_lstm_one : expected_lstm_both);
    expect(transpose(reshape(r.cell, {N, d, H}), {1, 0, 2}), d == 1 ? expected_lstm_one_cell : expected_lstm_both_cell);
    if (d == 1) expect(slice(r.cells, 0, T - 1, 1), expected_lstm_one_cell);
  }
}

TEST_F(Recurrent, GrusAreThoseOfPyTorch) {
  for (int d : {1, 2}) {
    auto o = options<GruOptions>(d, 3);
    o.reset_after = o.reset_gate_first = true;
    std::vector<Tensor> biases, secondary;
    for (int i = 0; i < d; ++i) {
      const Tensor in = constant({3 * H}, 3 + i), rec = constant({3 * H}, 4 + i);
      biases.push_back(concat({slice(in, 0, 0, 2 * H) + slice(rec, 0, 0, 2 * H), slice(in, 0, 2 * H, H)}, 0));
      secondary.push_back(slice(rec, 0, 2 * H, H));
    }
    o.bias = concat(biases, 0), o.secondary_bias = concat(secondary, 0);
    expect(gru(x(), recurrent(d, 3), o).y, d == 1 ? expected_gru_one : expected_gru_both);
  }
}

TEST_F(Recurrent, RnnsAreThoseOfPyTorch) {
  for (int d : {1, 2}) {
    auto o = options<RnnOptions>(d, 1);
    o.bias = weight(d, {H}, 3) + weight(d, {H}, 4);
    expect(rnn(x(), recurrent(d, 1), o).y, d == 1 ? expected_rnn_one : expected_rnn_both);
  }
}

TEST_F(Recurrent, SequencesOfTheirOwnLengthsAreThoseThatPyTorchPacks) {
  auto o = options<LstmOptions>(2, 4);
  o.initial_state = {};
  o.bias = weight(2, {4 * H}, 3) + weight(2, {4 * H}, 4);
  o.lengths = g.constant(NDArray::of<std::int64_t>({N}, {4, 1, 2}));
  const Lstm r = lstm(x(), recurrent(2, 4), o);
  expect(r.y, expected_lstm_packed);
  expect(transpose(reshape(r.state, {N, 2, H}), {1, 0, 2}), expected_lstm_packed_state);
}

TEST_F(Recurrent, StepsOneByOneAreASequence) {
  auto o = options<LstmOptions>(1, 4);
  o.initial_cell = state(1, 6);
  const Tensor r = recurrent(1, 4);
  const Lstm whole = lstm(x(), r, o);
  std::vector<Tensor> y;
  for (std::int64_t t = 0; t < T; ++t) {
    const Lstm step = lstm(slice(x(), 0, t, 1), r, o);
    y.push_back(step.y);
    o.initial_state = step.state, o.initial_cell = step.cell;
  }
  const auto a = g.run({}, {whole.y, concat(y, 0)}, {}, {.backend = Backend::reference});
  for (std::size_t i = 0; i < a[0].elements<double>().size(); ++i) EXPECT_EQ(a[0].elements<double>()[i], a[1].elements<double>()[i]);
}

TEST_F(Recurrent, TheNumberOfSequencesNeedNotBeKnown) {
  const Tensor free = g.placeholder({T, dynamic, I}, f64);
  auto o = options<GruOptions>(1, 3);
  o.initial_state = {};
  const Tensor y = gru(free, recurrent(1, 3), o).y, known = gru(x(), recurrent(1, 3), o).y;
  const NDArray a = g.run({{free, waves({T, N, I}, 0.1, 2)}}, {y}, {}, {.backend = Backend::reference})[0];
  const NDArray b = g.run({}, {known}, {}, {.backend = Backend::reference})[0];
  for (std::size_t i = 0; i < b.elements<double>().size(); ++i) EXPECT_EQ(a.elements<double>()[i], b.elements<double>()[i]);
}

TEST_F(Recurrent, NoStepsLeaveTheStateAsItWas) {
  LstmOptions o;
  o.initial_state = state(1, 5);
  const Lstm r = lstm(constant({0, N, 4 * H}, 0), recurrent(1, 4), o);
  EXPECT_EQ(r.y.shape(), (Shape{0, N, H}));
  EXPECT_EQ(r.gates.shape(), (Shape{0, N, 4 * H}));
  expect(r.state - o.initial_state, std::vector<double>(N * H));
  expect(r.cell, std::vector<double>(N * H));
  expect(r.cells, {});
}

/// The layers of which T and N are known only when they run, beside those of which they were known when they were built, and their gradients.
TEST_F(Recurrent, StepsMayBeCountedLate) {
  constexpr std::int64_t most = 5, sequences = 3, inputs = 4, hidden = 2;
  struct Layer {
    const char* name;
    std::int64_t rows;
    std::function<std::vector<Tensor>(Tensor x, Tensor recurrent, Tensor input, Tensor lengths)> build;
  };
  const auto with = [](auto& o, Tensor input, Tensor lengths) {
    o.input_weight = input, o.lengths = lengths;
    return o;
  };
  const Layer layers[] = {
      {"rnn", 1,
       [&](Tensor x, Tensor r, Tensor w, Tensor) {
         RnnOptions o;
         o.activation = GateActivation::tanh, o.reverse = true;
         const Rnn l = rnn(x, r, with(o, w, {}));
         return std::vector{l.y, l.state};
       }},
      {"lstm", 4,
       [&](Tensor x, Tensor r, Tensor w, Tensor lengths) {
         LstmOptions o;
         const Lstm l = lstm(x, r, with(o, w, lengths));
         return std::vector{l.y, l.state, l.cell, l.cells, l.gates};
       }},
      {"lstm reversed", 4,
       [&](Tensor x, Tensor r, Tensor w, Tensor lengths) {
         LstmOptions o;
         o.reverse = true;
         const Lstm l = lstm(x, r, with(o, w, lengths));
         return std::vector{l.y, l.state, l.cell, l.cells, l.gates};
       }},
      {"gru", 3,
       [&](Tensor x, Tensor r, Tensor w, Tensor lengths) {
         GruOptions o;
         const Gru l = gru(x, r, with(o, w, lengths));
         return std::vector{l.y, l.state, l.gates};
       }},
  };
  for (const auto& layer : layers)
    for (const std::int64_t steps : {std::int64_t{0}, std::int64_t{1}, most}) {
      SCOPED_TRACE(std::string(layer.name) + ", " + std::to_string(steps) + " steps");
      const auto results = [&](Shape shape, std::vector<std::string> without) {
        Graph graph;
        const Tensor x = graph.placeholder(shape, f64), r = graph.constant(waves({layer.rows * hidden, hidden}, 0.3, 0.5)),
                     w = graph.constant(waves({layer.rows * hidden, inputs}, 1.1, 0.5)),
                     lengths = graph.constant(NDArray::of<std::int32_t>({sequences}, {0, 2, static_cast<int>(steps)}));
        std::vector<Tensor> targets = layer.build(x, r, w, lengths);
        Tensor total = sum(square(targets[0]));
        for (std::size_t i = 1; i < targets.size(); ++i) total = total + sum(sin(targets[i]));
        for (auto d : graph.gradients(total, {x, r, w})) targets.push_back(d);
        const Feeds feeds{{x, waves({steps, sequences, inputs}, 2.7)}};
        RunOptions options;
        options.without = std::move(without);
        std::vector<std::vector<double>> values;
        for (const auto& a : graph.run(feeds, targets, {}, options)) {
          const NDArray here = a.to(Device::cpu());
          values.emplace_back(here.elements<double>().begin(), here.elements<double>().end());
        }
        return values;
      };
      const auto expected = results({steps, sequences, inputs}, {});
      for (const bool unrolls : {true, false}) {
        const auto found = results({dynamic, dynamic, inputs}, unrolls ? std::vector<std::string>{} : std::vector<std::string>{"unroll loops"});
        ASSERT_EQ(found.size(), expected.size());
        for (std::size_t i = 0; i < found.size(); ++i) {
          ASSERT_EQ(found[i].size(), expected[i].size());
          for (std::size_t e = 0; e < found[i].size(); ++e) ASSERT_NEAR(found[i][e], expected[i][e], 1e-12) << "result " << i;
        }
      }
    }
}

TEST_F(Recurrent, WhatDoesntFitIsRefused) {
  const Tensor r = g.placeholder({8, 2}), x = g.placeholder({3, 4, 5});
  const auto says = [](const std::string& message, const char* text) { EXPECT_NE(message.find(text), std::string::npos) << message; };
  says(error_of([&] { lstm(g.placeholder({3, 4}), r); }), "lstm: expects x [T, N, I], x is f32[3,4]");
  says(error_of([&] { lstm(x, g.placeholder({6, 2})); }), "recurrent_weight is f32[6,2], expects f32[8,2]");
  says(error_of([&] { lstm(x, r); }), "without input weights x has the gates' inputs, [T, N, 8], x is f32[3,4,5]");
  LstmOptions o;
  o.input_weight = g.placeholder({8, 6});
  says(error_of([&] { lstm(x, r, o); }), "input_weight is f32[8,6], expects f32[8,5]");
  o.input_weight = g.placeholder({8, 5}, f64);
  says(error_of([&] { lstm(x, r, o); }), "input_weight is f64[8,5], expects f32[8,5]");
  o.input_weight = g.placeholder({8, 5}), o.initial_state = g.placeholder({3, 2});
  says(error_of([&] { lstm(x, r, o); }), "initial_state is f32[3,2], expects f32[4,2]");
  o.initial_state = {}, o.lengths = g.placeholder({4});
  says(error_of([&] { lstm(x, r, o); }), "lengths is f32[4], expects integers [N]");
  o.lengths = {}, o.bidirectional = true;
  says(error_of([&] { lstm(x, r, o); }), "recurrent_weight is f32[8,2], expects [2, 4 H, H]");
  GruOptions gates;
  gates.secondary_bias = g.placeholder({2});
  says(error_of([&] { gru(g.placeholder({3, 4, 6}), g.placeholder({6, 2}), gates); }), "secondary_bias is for reset_after only");
}

}  // namespace
}  // namespace weft::recurrent_test
