// Convolutions as loop nests, for what no library takes.
#include "stitch/lowering.h"

#include <array>
#include <string>

namespace weft::kernel {
namespace {

using Sizes = std::vector<std::int64_t>;

/// Loops of a nest, given names before their number is known.
class Loops {
 public:
  int add(std::int64_t extent) {
    extents_.push_back(extent);
    return static_cast<int>(extents_.size()) - 1;
  }
  const Sizes& extents() const { return extents_; }

 private:
  Sizes extents_;
};

Affine sum(const Builder& b, std::initializer_list<std::pair<int, std::int64_t>> loops, std::int64_t constant) {
  Affine a = b.number(constant);
  for (auto [loop, factor] : loops) a.coefficients[static_cast<std::size_t>(loop)] += factor;
  return a;
}

/// Which dimension of a layout's text is which.
struct Layout {
  int first, second;
  std::array<int, 3> spatial{};

  Layout(const std::string& text, char a, char b) : first(static_cast<int>(text.find(a))), second(static_cast<int>(text.find(b))) {
    std::size_t next = 0;
    for (int i = 0; i < static_cast<int>(text.size()); ++i)
      if (i != first && i != second) spatial[next++] = i;
  }
};

}  // namespace

void lower_convolution(Lowering& l, ir::NodeId id) {
  const ir::Node& node = l.graph[id];
  const auto name = node.op->name;
  const bool to_data = name == "conv_data_gradient", to_weights = name == "conv_weights_gradient";
  const Layout data(node.attributes.text("layout"), 'N', 'C'), weights(node.attributes.text("weights_layout"), 'O', 'I');
  const auto &strides = node.attributes.integers("strides"), &dilations = node.attributes.integers("dilations"),
             &low = node.attributes.integers("low");
  const std::int64_t groups = node.attributes.integer("groups");
  const std::size_t rank = strides.size();

  // x, w, y of the convolution that this is, or is a derivative of.
  const ir::Value result{id, 0};
  const ir::Value x = to_data ? result : node.operands[0], w = to_weights ? result : node.operands[1],
                  y = to_data      ? node.operands[0]
                      : to_weights ? node.operands[1]
                                   : result;
  const Shape &xs = l.graph.type(x).shape, &ws = l.graph.type(w).shape, &ys = l.graph.type(y).shape;
  const std::int64_t in = ws[weights.second], out = groups == 0 ? 0 : ws[weights.first] / groups;

  // A loop for each of: batch, group, output channel, input channel, place, window; the result's in its own order first.
  Loops loops;
  int n = -1, k = -1, o = -1, i = -1;
  std::array<int, 3> p{}, r{};
  auto spatial_of = [&](const Layout& layout, int dimension) {
    std::size_t d = 0;
    while (layout.spatial[d] != dimension) ++d;
    return d;
  };
  const Layout& own = to_weights ? weights : data;
  const Shape& own_shape = l.graph.type(result).shape;
  // Data gradients: p counts places of x.
  for (int d = 0; d < own_shape.rank(); ++d) {
    if (to_weights) {
      if (d == own.first) k = loops.add(groups), o = loops.add(out);
      else if (d == own.second) i = loops.add(in);
      else r[spatial_of(own, d)] = loops.add(own_shape[d]);
    } else {
      if (d == own.first) n = loops.add(own_shape[d]);
      else if (d == own.second) k = loops.add(groups), (to_data ? i : o) = loops.add(to_data ? in : out);
      else p[spatial_of(own, d)] = loops.add(own_shape[d]);
    }
  }
  const int parallel = static_cast<int>(loops.extents().size());
  if (to_weights) {
    n = loops.add(xs[data.first]);
    for (std::size_t d = 0; d < rank; ++d) p[d] = loops.add(ys[data.spatial[d]]);
  } else {
    for (std::size_t d = 0; d < rank; ++d) r[d] = loops.add(ws[weights.spatial[d]]);
    if (to_data) o = loops.add(out);
    else i = loops.add(in);
  }

  Builder b = l.builder(loops.extents(), parallel);
  const Affine input = sum(b, {{k, in}, {i, 1}}, 0), output = sum(b, {{k, out}, {o, 1}}, 0);
  Map xm(static_cast<std::size_t>(xs.rank())), wm(static_cast<std::size_t>(ws.rank())), ym(static_cast<std::size_t>(ys.rank()));
  auto set = [](Map& m, int d, Affine a) { m[static_cast<std::size_t>(d)] = std::move(a); };
  set(xm, data.first, b.loop(n)), set(xm, data.second, input);
  set(ym, data.first, b.loop(n)), set(ym, data.second, output);
  set(wm, weights.first, output), set(wm, weights.second, b.loop(i));
  std::vector<Term> terms;
  for (std::size_t d = 0; d < rank; ++d) {
    set(wm, weights.spatial[d], b.loop(r[d]));
    Term term;
    if (to_data) {
      set(xm, data.spatial[d], b.loop(p[d]));
      term.position = sum(b, {{p[d], 1}, {r[d], -dilations[d]}}, low[d]);
      term.divisor = strides[d];
      term.extent = ys[data.spatial[d]];
      term.stride = dense_strides(ys)[static_cast<std::size_t>(data.spatial[d])];
      set(ym, data.spatial[d], b.number(0));
      terms.push_back(std::move(term));
      continue;
    }
    set(ym, data.spatial[d], b.loop(p[d]));
    const Affine at = sum(b, {{p[d], strides[d]}, {r[d], dilations[d]}}, -low[d]);
    const auto size = xs[data.spatial[d]];
    const auto last = (ys[data.spatial[d]] - 1) * strides[d] + (ws[weights.spatial[d]] - 1) * dilations[d] - low[d];
    if (low[d] <= 0 && last < size) {
      set(xm, data.spatial[d], at);
      continue;
    }
    term.position = at;
    term.extent = size;
    term.stride = dense_strides(xs)[static_cast<std::size_t>(data.spatial[d])];
    set(xm, data.spatial[d], b.number(0));
    terms.push_back(std::move(term));
  }
  const DType dtype = node.types[0].dtype;
  const int left = to_data ? b.load(y, ym, terms) : b.load(x, xm, terms);
  const int right = to_weights ? b.load(y, ym) : b.load(w, wm);
  b.store(result, to_data ? xm : to_weights ? wm : ym, b.cast(b.sum_of_products(left, right), dtype));
  l.finish(b, {&id, 1});
}

}  // namespace weft::kernel
