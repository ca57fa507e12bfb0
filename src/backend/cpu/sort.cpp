// Sorting: rows of elements as rows of unsigned integers in the same order. A stable order is unique, so that results are the
// same however the work is shared out.
#include "backend/cpu/library_call.h"
#include "backend/cpu/sort_rows.h"
#include "graph/primitive.h"

#include <weft/error.h>

#include <omp.h>

#include <cstring>
#include <vector>

namespace weft::cpu {
namespace {

using namespace sorting;

/// Rows of at least this length are sorted by all threads together when there are few of them.
constexpr std::int64_t together_from = 1 << 16;
/// Elements below which a parallel region costs more than it gives.
constexpr std::int64_t parallel_from = 1 << 14;
/// Top-k looks through a row, instead of sorting it, when it takes less than this part of the row.
constexpr std::int64_t selection_part = 8;
constexpr int most_threads = 64;

/// What an operation asks for, whatever the type of its keys.
struct Sorting {
  std::int64_t rows = 0, length = 0;
  std::int64_t taken = 0;  ///< elements of each row that the results hold
  bool descending = false;
  bool has_places = false;            ///< the last result holds places
  DType place_type = i32;             ///< their type
  std::vector<std::size_t> elements;  ///< bytes of an element of each operand that a result is taken from

  /// Elements may have to be put back where equal keys were not equal bits; places say which was which.
  bool needs_places() const { return has_places || elements.size() > 1; }
};

/// to[i] = from[place of items[i]].
template <class Item> void gather(const void* from, void* to, std::size_t bytes, const Item* items, std::size_t count) {
  auto copy = [&](auto zero) {
    using E = decltype(zero);
    for (std::size_t i = 0; i < count; ++i) static_cast<E*>(to)[i] = static_cast<const E*>(from)[place_of(items[i])];
  };
  if (bytes == 1) copy(std::uint8_t{});
  else if (bytes == 2) copy(std::uint16_t{});
  else if (bytes == 4) copy(std::uint32_t{});
  else copy(std::uint64_t{});
}

/// Keys of type T. Items are keys with their places, or keys alone.
template <class T, class Item, bool with_places> class SortCall final : public LibraryCall {
 public:
  explicit SortCall(Sorting sorting) : s_(std::move(sorting)), threads_(std::clamp(omp_get_max_threads(), 1, most_threads)) {
    flip_ = static_cast<Bits>(s_.descending ? ~Bits(0) : Bits(0));
    selects_ = with_places && s_.taken < s_.length / selection_part;
    together_ = s_.length >= together_from && s_.rows < 4 * threads_;
    if (s_.rows * s_.length < parallel_from) threads_ = 1;
    else if (!together_) threads_ = static_cast<int>(std::min<std::int64_t>(threads_, s_.rows));
    slot_ = static_cast<std::size_t>(selects_ ? std::min(4 * s_.taken + 64, s_.length) : 2 * s_.length);
  }

  std::size_t scratch_bytes() const override {
    const auto slots = static_cast<std::size_t>(together_ && !selects_ ? 1 : threads_);
    return sizeof(Counts) * static_cast<std::size_t>(threads_) + slots * slot_ * sizeof(Item);
  }

  std::string describe() const override {
    return std::string(selects_                                            ? "selection"
                       : s_.length < static_cast<std::int64_t>(radix_from) ? "comparison sort"
                                                                           : "radix sort") +
           (together_ ? " of one row after the other" : " of rows");
  }

  void run(std::span<const void* const> operands, std::span<void* const> results, void* scratch) override {
    if (s_.rows * s_.taken == 0) return;
    auto* counts = static_cast<Counts*>(scratch);
    auto* items = reinterpret_cast<Item*>(counts + threads_);
    const int threads = std::min(threads_, omp_get_max_threads());
    if (together_) {
      for (std::int64_t row = 0; row < s_.rows; ++row) sort_together({operands, results, row}, items, counts, threads);
      return;
    }
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
      const std::int64_t team = omp_get_num_threads(), self = omp_get_thread_num();
      Item* own = items + static_cast<std::size_t>(self) * slot_;
      for (std::int64_t row = s_.rows * self / team; row < s_.rows * (self + 1) / team; ++row) sort_row({operands, results, row}, own);
    }
  }

 private:
  using Bits = typename Key<T>::Type;

  struct Row {
    std::span<const void* const> operands;
    std::span<void* const> results;
    std::int64_t row;
  };

  const T* keys(const Row& r) const { return static_cast<const T*>(r.operands[0]) + r.row * s_.length; }

  Bits key(T element) const { return static_cast<Bits>(Key<T>::of(element) ^ flip_); }

  static Item item(Bits key, std::size_t place) {
    if constexpr (with_places) return Item(Item(key) << place_bits<Item> | place);
    else return key;
  }

  void load(const T* from, Item* to, std::size_t first, std::size_t last) const {
    for (std::size_t i = first; i < last; ++i) to[i] = item(key(from[i]), i);
  }

  void sort_row(const Row& r, Item* items) const {
    const auto length = static_cast<std::size_t>(s_.length), taken = static_cast<std::size_t>(s_.taken);
    if (selects_) {
      std::sort(items, items + select(keys(r), items, 0, length));
    } else {
      load(keys(r), items, 0, length);
      items = sort_items(items, items + length, length, with_places ? place_bits<Item> : 0);
    }
    store(r, items, 0, taken);
    if constexpr (!with_places) restore(r, items);
  }

  void sort_together(const Row& r, Item* items, Counts* counts, int threads) const {
    const auto length = static_cast<std::size_t>(s_.length), taken = static_cast<std::size_t>(s_.taken);
    std::array<std::size_t, most_threads> found{};
    Item* sorted = items;
    int parts = 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
      const auto team = static_cast<std::size_t>(omp_get_num_threads()), self = static_cast<std::size_t>(omp_get_thread_num());
      if (selects_) {
        found[self] = select(keys(r), items + self * slot_, length * self / team, length * (self + 1) / team);
        if (self == 0) parts = static_cast<int>(team);
      } else {
        load(keys(r), items, length * self / team, length * (self + 1) / team);
#pragma omp barrier
        Item* own = sort_items_together(items, items + length, length, with_places ? place_bits<Item> : 0, counts, static_cast<int>(team),
                                        static_cast<int>(self));
        store(r, own, taken * self / team, taken * (self + 1) / team);
        if (self == 0) sorted = own;
      }
    }
    if (selects_) {
      // What the parts found, one behind the other.
      Item* end = items + found[0];
      for (std::size_t p = 1; p < static_cast<std::size_t>(parts); ++p) end = std::copy_n(items + p * slot_, found[p], end);
      std::sort(items, end);
      store(r, items, 0, taken);
    }
    if constexpr (!with_places) restore(r, sorted);
  }

  /// Leaves the first `taken` of the elements from `first` to `last`, or all if there are fewer, in items; gives their number.
  std::size_t select(const T* from, Item* items, std::size_t first, std::size_t last) const {
    const auto taken = static_cast<std::size_t>(s_.taken);
    std::size_t count = 0;
    // Later elements that are equal to the last one taken come after it.
    Bits below = 0;
    bool is_full = false;
    auto keep_first = [&] {
      std::nth_element(items, items + taken - 1, items + count);
      below = static_cast<Bits>(items[taken - 1] >> place_bits<Item>);
      count = taken;
      is_full = true;
    };
    for (std::size_t i = first; i < last; ++i) {
      const Bits k = key(from[i]);
      if (is_full && k >= below) continue;
      items[count++] = item(k, i);
      if (count == slot_) keep_first();
    }
    if (count > taken) keep_first();
    return count;
  }

  void store(const Row& r, const Item* items, std::size_t first, std::size_t last) const {
    const auto to = static_cast<std::size_t>(r.row * s_.taken) + first, from = static_cast<std::size_t>(r.row * s_.length);
    if constexpr (!with_places) {
      T* elements = static_cast<T*>(r.results[0]) + to;
      for (std::size_t i = first; i < last; ++i) elements[i - first] = Key<T>::element(static_cast<Bits>(items[i] ^ flip_));
    } else {
      for (std::size_t o = 0; o < s_.elements.size(); ++o) {
        const auto bytes = s_.elements[o];
        gather(static_cast<const std::byte*>(r.operands[o]) + from * bytes, static_cast<std::byte*>(r.results[o]) + to * bytes, bytes, items + first,
               last - first);
      }
      if (!s_.has_places) return;
      auto write = [&](auto* places) {
        for (std::size_t i = first; i < last; ++i) places[to + i - first] = static_cast<std::decay_t<decltype(*places)>>(place_of(items[i]));
      };
      if (s_.place_type == i32) write(static_cast<std::int32_t*>(r.results.back()));
      else write(static_cast<std::int64_t*>(r.results.back()));
    }
  }

  /// Puts zeros and NaN, of which keys don't say everything, back as they were and in their order.
  void restore(const Row& r, const Item* items) const {
    if constexpr (Key<T>::is_floating) {
      const T* from = keys(r);
      for (const Bits special : {Key<T>::of_zero, Key<T>::of_nan}) {
        const auto [first, last] = std::equal_range(items, items + s_.length, static_cast<Bits>(special ^ flip_));
        T* next = static_cast<T*>(r.results[0]) + r.row * s_.length + (first - items);
        auto left = last - first;
        for (; left > 0; ++from)
          if (Key<T>::of(*from) == special) *next++ = *from, --left;
        from = keys(r);
      }
    }
  }

  Sorting s_;
  int threads_;
  Bits flip_ = 0;
  bool selects_ = false, together_ = false;
  std::size_t slot_ = 0;  ///< items that a row, or a thread's part of one, needs room for
};

template <class T> std::unique_ptr<LibraryCall> make_call(Sorting s) {
  if (!s.needs_places()) return std::make_unique<SortCall<T, typename Key<T>::Type, false>>(std::move(s));
  if (sizeof(T) > 4 || s.length > std::numeric_limits<std::uint32_t>::max()) return std::make_unique<SortCall<T, wide, true>>(std::move(s));
  return std::make_unique<SortCall<T, std::uint64_t, true>>(std::move(s));
}

}  // namespace

std::unique_ptr<LibraryCall> make_sort_call(const ir::Graph& graph, const ir::Node& node) {
  const TensorType& keys = graph.type(node.operands[0]);
  Sorting s;
  s.length = keys.shape[keys.shape.rank() - 1];
  s.rows = s.length == 0 ? 0 : keys.shape.element_count() / s.length;
  s.taken = node.op->name == "top_k" ? node.attributes.integer("k") : s.length;
  s.descending = node.attributes.flag("descending");
  s.has_places = node.op->name != "sort";
  if (s.has_places) s.place_type = node.attributes.dtype("dtype");
  if (node.op->name != "arg_sort")
    for (auto v : node.operands) s.elements.push_back(size_of(graph.type(v).dtype));
  return visit_dtype(keys.dtype, [&](auto zero) -> std::unique_ptr<LibraryCall> {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, std::complex<float>>) throw InternalError(ir::describe(node) + " sorts complex numbers");
    else return make_call<T>(std::move(s));
  });
}

}  // namespace weft::cpu
