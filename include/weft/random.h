// Random numbers from Philox 4x32-10 (J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): element i
// is a function of seed and i alone, so that every backend draws the same numbers.
//
// Each distribution has three forms. Given a graph and a static shape, or a tensor whose sizes are taken, the numbers
// are those of `seed`, the same in every run; without one they follow from the graph's seed (as it was when the operation
// was made), the operation and the number of the run. Given a state, they follow from it, and the state to go on from
// comes back beside them.
#pragma once

#include <weft/graph.h>
#include <weft/tensor.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <source_location>

namespace weft {

/// Numbers and the state after them.
struct RandomResult {
  Tensor values;
  Tensor state;
};

/// The value of a random state: u64[3], a counter's low and high half and a key. For a constant, a feed, or a variable that
/// is assigned the state that comes back.
NDArray random_state(std::uint64_t seed);

struct UniformOptions {
  double low = 0, high = 1;
  std::optional<DType> dtype = {};  ///< floating; f32, or that of the tensor whose sizes are taken, when absent
  std::optional<std::uint64_t> seed = {};
};
/// Uniform in [low, high): a multiple of 2^-24 (f64: 2^-53, f16: 2^-11, bf16: 2^-8) in [0, 1), scaled; never rounded up to high.
Tensor random_uniform(Graph& graph, Shape shape, UniformOptions options = {}, std::source_location where = std::source_location::current());
Tensor random_uniform_like(Operand like, UniformOptions options = {});
RandomResult random_uniform(Operand state, Shape shape, UniformOptions options = {});

struct IntegerOptions {
  std::int64_t low = 0, high = std::numeric_limits<std::int32_t>::max();
  DType dtype = i32;
  std::optional<std::uint64_t> seed = {};
};
/// Integers of [low, high], both included. Probabilities differ from each other by at most 2^-64.
Tensor random_integers(Graph& graph, Shape shape, IntegerOptions options = {}, std::source_location where = std::source_location::current());
Tensor random_integers_like(Operand like, IntegerOptions options = {});
RandomResult random_integers(Operand state, Shape shape, IntegerOptions options = {});

struct NormalOptions {
  double mean = 0, deviation = 1;
  std::optional<DType> dtype = {};
  std::optional<std::uint64_t> seed = {};
};
/// mean + deviation * sqrt(-2 log(u)) * cos(2 pi v), with u in (0, 1] and v in [0, 1) uniform. G. Box, M. Muller, "A note on
/// the generation of random normal deviates", 1958. At most 5.8 (f64: 8.6) deviations from the mean.
Tensor random_normal(Graph& graph, Shape shape, NormalOptions options = {}, std::source_location where = std::source_location::current());
Tensor random_normal_like(Operand like, NormalOptions options = {});
RandomResult random_normal(Operand state, Shape shape, NormalOptions options = {});

struct TruncatedNormalOptions {
  double mean = 0, deviation = 1;
  double low = -2, high = 2;  ///< counted in deviations from the mean, within -5 to 5
  std::optional<DType> dtype = {};
  std::optional<std::uint64_t> seed = {};
};
/// Normal on the condition that it lies between the bounds, by inversion of the distribution's function.
Tensor random_truncated_normal(Graph& graph, Shape shape, TruncatedNormalOptions options = {},
                               std::source_location where = std::source_location::current());
Tensor random_truncated_normal_like(Operand like, TruncatedNormalOptions options = {});
RandomResult random_truncated_normal(Operand state, Shape shape, TruncatedNormalOptions options = {});

struct SeedOptions {
  std::optional<std::uint64_t> seed = {};
};
/// bool: true with the given probability, which broadcasts to like's shape: f32 u < probability, u uniform in [0, 1).
Tensor random_bernoulli_like(Operand like, Operand probability, SeedOptions options = {});

struct CategoricalOptions {
  /// Logits are divided by it, a number or a tensor that broadcasts to them: below 1 likely indices become likelier, and at 0, which
  /// must be a number, the largest logit's is drawn.
  Operand temperature = 1.0;
  std::int64_t top_k = 0;  ///< when not 0: the k largest logits only, and those that equal the smallest of these
  double top_p = 1;        ///< the likeliest indices that together have this probability only, and those as likely as the last of these
  int axis = -1;
  std::optional<std::uint64_t> seed = {};
};
/// i32, without `axis`: indices along it, drawn with the probabilities softmax(logits / temperature), of what top_k leaves and then of what
/// top_p leaves. The index of the largest sum of a logit and -log(-log(u)), u uniform in (0, 1): E. Gumbel, "Statistical theory of extreme
/// values", 1954. A. Holtzman et al., "The curious case of neural text degeneration", 2020, for top_p.
Tensor categorical(Operand logits, CategoricalOptions options = {});
/// From a random state; the sizes of the logits must be known.
RandomResult categorical(Operand state, Operand logits, CategoricalOptions options = {});

/// x / (1 - rate) with probability 1 - rate, otherwise 0. The rate, in [0, 1], is a number or a tensor that broadcasts
/// to x's shape. Derivatives pass through the same mask. N. Srivastava et al., "Dropout", JMLR 15, 2014.
Tensor dropout(Operand x, Operand rate, SeedOptions options = {});

}  // namespace weft
