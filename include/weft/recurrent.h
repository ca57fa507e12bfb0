// Recurrent layers over sequences x [T, N, I]: T steps of N sequences with I numbers each. A step's state h [N, H] is computed from the
// state before and the step's input; y [T, N, H] has the states of all steps. T may be 0; neither T nor N need be known when the graph is
// built.
//
// Weights stand in rows, one for each number that they compute, and gate after gate: recurrent ones [G H, H], input ones [G H, I], biases
// [G H], with G = 1 for rnn, 4 for lstm, 3 for gru. Without input weights x has the gates' inputs already, [T, N, G H].
//
// Bidirectional layers walk the sequences both ways with weights of their own: recurrent ones are [2, G H, H], and everything else has
// twice the rows (or, of x without input weights, of states and of masks, the columns), the forward direction's first. y is [T, N, 2 H].
//
// The formulas and layouts are those of Metal Performance Shaders Graph, whose names for gates are kept. All results have x's type, which
// is floating point; results that nobody reads cost nothing.
#pragma once

#include <weft/tensor.h>

#include <cstdint>

namespace weft {

/// What a gate makes of its sum.
enum class GateActivation : std::uint8_t {
  identity,
  relu,
  tanh,
  sigmoid,
  hard_sigmoid,  ///< min(max(x / 5 + 1/2, 0), 1)
};

/// What all recurrent layers take besides their weights.
struct RecurrentOptions {
  bool reverse = false;        ///< from the last step to the first; y keeps the order of x
  bool bidirectional = false;  ///< both ways; `reverse` then means nothing
  Tensor initial_state = {};   ///< h before the first step, [N, H]; 0 if not given
  Tensor mask = {};            ///< multiplies each h that a step starts from; broadcasts with [N, H]
  /// Integers [N]: the number of steps of each sequence, from 0 to T. Later steps of y are 0 and the state stays what it was; reversed
  /// walks begin with a sequence's own last step.
  Tensor lengths = {};
};

struct RnnOptions : RecurrentOptions {
  Tensor input_weight = {}, bias = {};
  GateActivation activation = GateActivation::relu;
};
struct Rnn {
  Tensor y;
  Tensor state;  ///< h after the last step, [N, H]
};
/// h[t] = activation(W x[t] + R h[t-1] + b). J. Elman, "Finding structure in time", 1990.
Rnn rnn(Operand x, Operand recurrent_weight, const RnnOptions& options = {});

struct LstmOptions : RecurrentOptions {
  Tensor input_weight = {}, bias = {};
  Tensor initial_cell = {};  ///< c before the first step, [N, H]; 0 if not given
  Tensor peephole = {};      ///< p, [4 H], in the gates' order
  bool forget_last = false;  ///< gates in the order i z f o instead of i f z o
  GateActivation input = GateActivation::sigmoid, forget = GateActivation::sigmoid, cell = GateActivation::tanh, output = GateActivation::sigmoid;
  GateActivation result = GateActivation::tanh;  ///< of c, in h
};
struct Lstm {
  Tensor y;
  Tensor state, cell;  ///< h and c after the last step, [N, H]
  Tensor cells;        ///< c of all steps, [T, N, H]
  Tensor gates;        ///< after their activations, in their order, [T, N, 4 H]
};
/// Each of the gates i, f, z, o is activation(W x[t] + R h[t-1] + p c[t-1] + b), with rows of its own; then
///   c[t] = f c[t-1] + i z,  h[t] = o result(c[t]).
/// S. Hochreiter, J. Schmidhuber, "Long short-term memory", 1997; F. Gers et al., "Learning to forget", 2000.
Lstm lstm(Operand x, Operand recurrent_weight, const LstmOptions& options = {});

struct GruOptions : RecurrentOptions {
  Tensor input_weight = {}, bias = {};
  Tensor secondary_bias = {};     ///< b2, [H], of the output gate's recurrent part; with reset_after only
  bool reset_gate_first = false;  ///< gates in the order r z o instead of z r o
  bool reset_after = false;       ///< r multiplies the output gate's recurrent part instead of the state that it reads
  bool flip_update = false;       ///< h[t] = (1 - z) h[t-1] + z o
  GateActivation update = GateActivation::sigmoid, reset = GateActivation::sigmoid, output = GateActivation::tanh;
};
struct Gru {
  Tensor y;
  Tensor state;  ///< h after the last step, [N, H]
  Tensor gates;  ///< after their activations, in their order, [T, N, 3 H]
};
/// z = update(Wz x[t] + Rz h[t-1] + bz), r = reset(Wr x[t] + Rr h[t-1] + br),
/// o = output(Wo x[t] + Ro (r h[t-1]) + bo), or with reset_after output(Wo x[t] + r (Ro h[t-1] + b2) + bo),
/// h[t] = z h[t-1] + (1 - z) o. K. Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.
Gru gru(Operand x, Operand recurrent_weight, const GruOptions& options = {});

}  // namespace weft
