// The random numbers of all backends: Philox 4x32-10. J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011. Block c of a key is a function of c alone, so that any element can be computed by itself.
#pragma once

#include <array>
#include <cstdint>

namespace weft::philox {

using Block = std::array<std::uint32_t, 4>;

/// The four words that belong to a counter (lowest word first) under a key.
constexpr Block block(Block counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0], b = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
  }
  return counter;
}

/// A place in the sequences: what a random state tensor (u64[3]) holds. Word i of a state is word i mod 4 of the block
/// with counter (low + i / 4, high); low wraps without a carry into high.
struct State {
  std::uint64_t low = 0, high = 0, key = 0;

  constexpr Block block(std::uint64_t index) const {
    const std::uint64_t at = low + index;
    return philox::block({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at >> 32), static_cast<std::uint32_t>(high),
                          static_cast<std::uint32_t>(high >> 32)},
                         {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)});
  }
};

/// Words of a state in order.
class Words {
 public:
  explicit Words(const State& state) : state_(state) {}
  std::uint32_t next() {
    if (next_ % 4 == 0) block_ = state_.block(next_ / 4);
    return block_[next_++ % 4];
  }
  /// Two words, the lower half first.
  std::uint64_t next64() {
    const std::uint64_t low = next();
    return low | std::uint64_t{next()} << 32;
  }

 private:
  State state_;
  Block block_{};
  std::uint64_t next_ = 0;
};

/// Spreads a seed over a key. G. Steele et al., "Fast splittable pseudorandom number generators", OOPSLA 2014 (SplitMix64).
constexpr std::uint64_t mix(std::uint64_t seed) {
  std::uint64_t z = seed + 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}
/// The key of a seed that the user gave to one operation or variable.
constexpr std::uint64_t key_of(std::uint64_t seed) { return mix(seed); }
/// The keys under a graph's seed: one for each random operation, and one for each variable.
constexpr std::uint64_t operation_key(std::uint64_t graph_seed, std::uint64_t node) { return mix(mix(graph_seed) + 2 * node + 1); }
constexpr std::uint64_t variable_key(std::uint64_t graph_seed, std::uint64_t position) { return mix(mix(graph_seed) + 2 * position + 2); }

}  // namespace weft::philox
