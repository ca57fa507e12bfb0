#include "graph/text.h"
#include "graph/build.h"
#include "ops/families.h"

#include <weft/weft.h>

#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <random>

namespace weft::text_test {
namespace {

void expect_same(const ir::Graph& a, const ir::Graph& b) {
  ASSERT_EQ(a.size(), b.size());
  for (ir::NodeId id = 0; id < a.size(); ++id) {
    EXPECT_EQ(a[id].op, b[id].op);
    EXPECT_EQ(a[id].operands, b[id].operands);
    EXPECT_EQ(a[id].attributes, b[id].attributes) << "operation %" << id;
    EXPECT_EQ(a[id].control, b[id].control);
    EXPECT_EQ(a[id].types, b[id].types);
    EXPECT_EQ(a[id].label, b[id].label);
  }
}

void expect_round_trip(const ir::Graph& graph) {
  const std::string text = print(graph);
  SCOPED_TRACE(text);
  const ir::Graph again = parse_text(text);
  expect_same(graph, again);
  EXPECT_EQ(print(again), text);
}

void expect_round_trip(const Graph& graph) { expect_round_trip(graph.state()->ir); }

/// An operation that ignores the attributes it doesn't know, with one of any kind.
ir::Graph with_attribute(Attribute value) {
  ir::Graph graph;
  ir::Node node;
  node.op = &primitive("placeholder");
  node.attributes = {{"dtype", f32}, {"extra", std::move(value)}};
  infer_types(graph, node);
  graph.add(std::move(node));
  return graph;
}

std::string error_of(std::string_view text) {
  try {
    parse_text(text);
  } catch (const GraphError& e) { return e.what(); }
  return "no error";
}

template <class T> std::shared_ptr<const Literal> bits_literal(std::vector<T> bits, DType dtype) {
  auto literal = std::make_shared<Literal>();
  literal->type = {dtype, Shape{static_cast<std::int64_t>(bits.size() * sizeof(T) / size_of(dtype))}};
  const auto bytes = std::as_bytes(std::span(bits));
  literal->bytes.assign(bytes.begin(), bytes.end());
  return literal;
}

TEST(Text, OneLineAnOperationReadsLikeTheProgram) {
  Graph g;
  const Tensor x = g.placeholder({dynamic, 4}, f32, "x");
  const Tensor w = g.variable(init::uniform({4}, -0.5, 0.25, 7), "w");
  const Tensor y = (x * w).named("scaled");
  const Operation update = g.assign(w, w - 1.0f);
  g.control_dependencies({update}, [&] { neg(y); });
  EXPECT_EQ(g.str(),
            "%0 = placeholder() {dtype=f32, shape=[-1,4]} \"x\" : f32[?,4]\n"
            "%1 = variable() {a=-0.5, b=0.25, dtype=f32, initializer=\"uniform\", seed=7, shape=[4]} \"w\" : f32[4]\n"
            "%2 = read(%1) {implicit=1} : f32[4]\n"
            "%3 = mul(%0, %2) \"scaled\" : f32[?,4]\n"
            "%4 = constant() {value=splat f32[] 1.0} : f32[]\n"
            "%5 = sub(%2, %4) : f32[4]\n"
            "%6 = assign(%1, %5)\n"
            "%7 = neg(%3) after %6 : f32[?,4]\n");
  expect_round_trip(g);
}

TEST(Text, EveryKindOfAttributeComesBack) {
  const double inf = std::numeric_limits<double>::infinity();
  const double payload = std::bit_cast<double>(0xfff8000000000123u), nan = std::bit_cast<double>(0x7ff8000000000000u);
  const Attribute attributes[] = {
      std::int64_t{0},
      std::numeric_limits<std::int64_t>::min(),
      std::numeric_limits<std::int64_t>::max(),
      0.1,
      -0.0,
      1e300,
      100000.0,
      std::numeric_limits<double>::denorm_min(),
      std::numeric_limits<double>::max(),
      inf,
      -inf,
      nan,
      payload,
      std::string(),
      std::string("a \"quoted\" \\ back\nslash\t\x01\x7f \xc3\xa9\xe2\x82\xac # no comment"),
      f32,
      c64,
      boolean,
      std::vector<std::int64_t>{},
      std::vector<std::int64_t>{-1, 2, 3},
      std::vector<double>{},
      std::vector<double>{1, -0.0, inf, payload},
  };
  for (const auto& a : attributes) expect_round_trip(with_attribute(a));
}

TEST(Text, LiteralsOfEveryTypeComeBackBitByBit) {
  std::mt19937_64 random(1);
  for (int t = 0; t < dtype_count; ++t) {
    const auto dtype = static_cast<DType>(t);
    for (std::size_t count : {0u, 1u, 5u, 16u, 17u, 40u}) {
      std::vector<std::uint8_t> bytes(count * size_of(dtype));
      for (auto& b : bytes) b = static_cast<std::uint8_t>(random());
      expect_round_trip(with_attribute(bits_literal(bytes, dtype)));
    }
    std::vector<std::byte> element(size_of(dtype), std::byte{0xff});  // a NaN with a payload, -1, an odd bool
    expect_round_trip(with_attribute(Literal::filled({dtype, {}}, element)));
    expect_round_trip(with_attribute(Literal::filled({dtype, {1000, 1000, 1000}}, element)));
    expect_round_trip(with_attribute(Literal::filled({dtype, {0, 3}}, element)));
  }
}

TEST(Text, EveryValueOfThe16BitTypesComesBack) {
  for (DType dtype : {f16, bf16}) {
    for (std::uint32_t high = 0; high < 0x10000; high += 16) {
      std::vector<std::uint16_t> bits(16);
      for (std::uint32_t i = 0; i < 16; ++i) bits[i] = static_cast<std::uint16_t>(high + i);
      const auto graph = with_attribute(bits_literal(bits, dtype));
      ASSERT_EQ(parse_text(print(graph))[0].attributes, graph[0].attributes) << print(graph);
    }
  }
}

TEST(Text, SmallLiteralsAreReadable) {
  EXPECT_NE(print(with_attribute(Literal::of(NDArray::of<float>({2, 2}, {1, 0.5f, -0.0f, 1e-10f})))).find("f32[2,2] {1.0,0.5,-0.0,1e-10}"),
            std::string::npos);
  EXPECT_NE(print(with_attribute(Literal::of(NDArray::of<bool>({2}, {true, false})))).find("bool[2] {true,false}"), std::string::npos);
  EXPECT_NE(print(with_attribute(Literal::of(NDArray::of<std::complex<float>>({1}, {{1, -2}})))).find("c64[1] {(1.0,-2.0)}"), std::string::npos);
}

TEST(Text, LabelsComeBack) {
  Graph g;
  for (const char* label : {"a/b", "quote \" and \\", "line\nbreak",
                            "gr\xc3\xb6\xc3\x9f"
                            "e",
                            "# no comment", "\x01", "\xff not UTF-8"})
    g.placeholder({}, f32, label);
  expect_round_trip(g);
}

TEST(Text, AParsedGraphCanBeBuiltOn) {
  Graph g;
  g.set_seed(123);
  const Tensor w = g.variable(init::zeros({2}), "w");
  (w + 1.0f).named("next");
  Graph again = Graph::parse(g.str());
  EXPECT_EQ(again.str(), g.str());
  ASSERT_EQ(again.variables().size(), 1u);
  EXPECT_EQ(again.variables()[0], again.find("w"));
  const auto before = again.state()->ir.size();
  neg(again.find("w"));
  EXPECT_EQ(again.state()->ir.size(), before + 1) << "the variable's read at the start of the run is known";
  EXPECT_EQ(again.find("next").type(), g.find("next").type());
}

TEST(Text, FindRefusesAbsentAndAmbiguousLabels) {
  Graph g;
  g.placeholder({}, f32, "twice");
  g.placeholder({}, f32, "twice");
  EXPECT_THROW(g.find("twice"), GraphError);
  EXPECT_THROW(g.find("absent"), GraphError);
}

TEST(Text, SpacesEmptyLinesAndCommentsDoNotMatter) {
  const auto graph = parse_text("# a graph\r\n\n  %0=placeholder( ){dtype=f32,shape=[ 2 ]}:f32[2]  # fed\n%1 = add ( %0 , %0.0 ) : f32 [2]");
  EXPECT_EQ(graph.size(), 2);
  EXPECT_EQ(parse_text("").size(), 0);
}

TEST(Text, ErrorsSayWhereAndWhatWouldBeRight) {
  const std::string x = "%0 = placeholder() {dtype=f32, shape=[2]} : f32[2]\n";
  EXPECT_EQ(error_of("%1 = placeholder() {dtype=f32} : f32[...]"), "line 1, column 1: expected operation %0, operations are numbered in order");
  EXPECT_EQ(error_of(x + "%1 = negate(%0) : f32[2]"), "line 2, column 6: no operation is called negate");
  EXPECT_EQ(error_of(x + "%1 = neg(%1) : f32[2]"), "line 2, column 10: %1 is not an earlier operation");
  EXPECT_EQ(error_of(x + "%1 = neg(%0.1) : f32[2]"), "line 2, column 10: %0 has 1 results");
  EXPECT_EQ(error_of(x + "%1 = neg() : f32[2]"), "line 2, column 1: neg can't have 0 operands");
  EXPECT_EQ(error_of(x + "%1 = neg(%0) : f32[3]"), "line 2, column 1: neg: written f32[3], inferred f32[2]");
  EXPECT_EQ(error_of(x + "%1 = neg(%0)"), "line 2, column 1: neg: written no result, inferred f32[2]");
  EXPECT_EQ(error_of(x + "%1 = neg(%0) \"open"), "line 2, column 19: expected '\"' before the end of the line");
  EXPECT_EQ(error_of(x + "%1 = cast(%0) : f32[2]"), "line 2, column 1: attribute dtype is missing or of another kind");
  EXPECT_EQ(error_of(x + "%1 = cast(%0) {dtype=f33} : f32[2]"), "line 2, column 22: expected an element type");
  EXPECT_EQ(error_of(x + "%1 = cast(%0) {dtype=i32, dtype=i32} : i32[2]"), "line 2, column 27: attribute dtype is given twice");
  EXPECT_EQ(error_of(x + "%1 = neg(%0) : f32[2] neg"), "line 2, column 23: expected the end of the line");
  EXPECT_EQ(error_of(x + "%1 = read(%0) : f32[2]"), "line 2, column 11: read takes a variable here, not placeholder");
  EXPECT_EQ(error_of("%0 = constant() {value=f32[3] {1,2}} : f32[3]"), "line 1, column 24: literal f32[3] has 8 bytes of elements, expects 12");
  EXPECT_EQ(error_of("%0 = constant() {value=u8[1] {256}} : u8[1]"), "line 1, column 31: number out of range for u8");
  EXPECT_EQ(error_of("%0 = constant() {value=f32[1] {1e99}} : f32[1]"), "line 1, column 32: number out of range");
  EXPECT_EQ(error_of("%0 = constant() {value=base64 f32[1] \"AAA\"} : f32[1]"),
            "line 1, column 39: base64 text of a length that is no multiple of 4");
}

TEST(Text, AGraphToBuildOnReadsItsVariables) {
  const std::string text = "%0 = variable() {a=0.0, b=0.0, dtype=f32, initializer=\"constant\", seed=0, shape=[2]} : f32[2]\n%1 = neg(%0) : f32[2]\n";
  EXPECT_EQ(print(parse_text(text)), text) << "as graphs are after specialising";
  try {
    Graph::parse(text);
    FAIL() << "no error";
  } catch (const GraphError& e) { EXPECT_STREQ(e.what(), "%1 = neg takes variable %0, expects a read of it"); }
}

TEST(Text, ALiteralThatClaimsMoreThanItHasAllocatesNothing) {
  EXPECT_NE(error_of("%0 = constant() {value=f32[1000000000000000] {1}} : f32[1]").find("4 bytes of elements"), std::string::npos);
  EXPECT_NE(error_of("%0 = constant() {value=base64 f64[1000000000000000000] \"\"} : f32[1]").find("expects 8000000000000000000"), std::string::npos);
  EXPECT_NE(error_of("%0 = constant() {value=splat f64[9000000000000000000] 0} : f32[1]").find("more than 2^63 - 1 bytes"), std::string::npos);
  EXPECT_NE(error_of("%0 = constant() {value=splat f64[9000000000000000000,2] 0} : f32[1]").find("more than 2^63 - 1 elements"), std::string::npos);
  EXPECT_NE(error_of("%0:4000000000 = placeholder() {dtype=f32} : f32[...]").find("expects 4000000000"), std::string::npos);
}

/// Operations of every family, with their derivatives.
Graph one_of_each() {
  Graph g;
  const Tensor x = g.placeholder({dynamic, 4}, f32, "x"), i = g.placeholder({dynamic}, i32, "i"),
               images = g.placeholder({dynamic, 8, 8, 2}, f32, "images");
  const Tensor any = g.placeholder(Shape::unranked(), f32);
  for (auto family : {ops::unary(), ops::binary(), ops::ternary()})
    for (const Primitive& op : family)
      for (DType dtype : {f32, i32, boolean, c64}) {
        std::vector<Operand> operands(static_cast<std::size_t>(op.min_operands), g.placeholder({dynamic, 4}, dtype));
        if (op.name == "select") operands[0] = g.placeholder({4}, boolean);
        try {
          add_operation(op.name, operands, op.name == "cast" || op.name == "bitcast" ? Attributes{{"dtype", f32}} : Attributes{});
        } catch (const GraphError&) {
          // Not every function is one of every type.
        }
      }
  const Tensor w = g.variable(init::glorot({3, 3, 2, 4}), "w");
  const auto pooled = max_pool2d_with_indices(relu(conv2d(images, w, {.strides = {2, 1}, .padding = Padding::same})), {2, 2});
  const Tensor averaged =
      average_pool2d(conv_transpose2d(pooled.values, g.constant(NDArray(f32, {3, 3, 2, 4}))), {2, 2}, {.ceil = true, .count_padding = true});
  const Tensor products = matmul(flatten(l2_pool2d(averaged, {1, 1})), g.constant(0.5, {12, 4}));
  const Tensor joined = concat({x, pad(slice(x, 1, 1, 2), {0, 1}, {0, 1}), reverse(tile(x, {1, 1}))}, 1);
  const Tensor reduced =
      sum(joined) + prod(x) + max(any) + mean(nanmin(x, 1)) + variance(transpose(x, 0, 1), {0}, {.keep = true}) + cast(argmax(x, 1), f32);
  const Tensor moved = scatter(Shape{10, 4}, i, gather(x, i, 0, {.out_of_bounds = OutOfBounds::ignore}), 0, {.out_of_bounds = OutOfBounds::ignore});
  const Tensor random = dropout(x, 0.25) * random_uniform_like(x) + cast(size_of(any, i64), f32) + random_normal(g, {4}, {.seed = 3});
  const Tensor loss = sum(products) + sum(reduced) + sum(moved) + sum(random) + softmax_cross_entropy(layer_norm(x), i) + sum(cast(any, f32));
  const auto updates = adam(g.variables(), g.gradients(loss, g.variables()), 0.1);
  g.gradients(loss, {x, images, any});
  g.assign(g.variable(init::zeros({4})), g.constant(std::sqrt(2.0), {4}));
  return g;
}

TEST(Text, OperationsOfEveryFamilyComeBack) {
  const Graph g = one_of_each();
  const Graph again = Graph::parse(g.str());
  expect_same(g.state()->ir, again.state()->ir);
  EXPECT_EQ(again.str(), g.str());
  EXPECT_EQ(again.variables().size(), g.variables().size());
}

/// Text with up to three places changed.
std::string damage(std::string text, std::mt19937& random) {
  constexpr std::string_view characters = "0123456789%[](){}\"\\,.:=- \n#?naefix";
  for (unsigned n = 1 + random() % 3; n-- > 0 && !text.empty();) {
    const std::size_t at = random() % text.size(), length = 1 + random() % 8;
    switch (random() % 4) {
      case 0: text[at] = characters[random() % characters.size()]; break;
      case 1: text.erase(at, length); break;
      case 2: text.insert(at, text.substr(random() % text.size(), length)); break;
      default: text.resize(at); break;
    }
  }
  return text;
}

TEST(Text, DamagedTextThrowsOrParses) {
  Graph g;
  const Tensor x = g.placeholder({dynamic, 4}, f32, "x");
  const Tensor w = g.variable(NDArray::of<float>({4}, {1, 2, 3, 4}), "w");
  const Tensor y = select(x * w > 0.5f, exp(x), cast(cast(x, i8), f32)).named("y");
  g.constant(NDArray(f16, {5, 5}));
  g.control_dependencies({g.assign(w, w * 2.0f)}, [&] { neg(y); });
  const std::string text = g.str();
  std::mt19937 random(7);
  int parsed = 0, refused = 0;
  for (int round = 0; round < 10000; ++round) {
    try {
      print(parse_text(damage(text, random)));
      ++parsed;
    } catch (const GraphError&) { ++refused; }
  }
  EXPECT_GT(parsed, 50);
  EXPECT_GT(refused, 5000);
}

TEST(Text, DamagedAttributesOfAnyOperationThrowOrParse) {
  const Graph g = one_of_each();
  const ir::Graph& graph = g.state()->ir;
  std::mt19937 random(11);
  for (ir::NodeId id = 0; id < graph.size(); ++id) {
    if (graph[id].attributes.empty()) continue;
    // The operation after placeholders of its operands' types, so that a round costs little.
    ir::Graph small;
    ir::Node last = graph[id];
    last.control.clear();
    for (auto& v : last.operands) {
      const bool variable = graph[v.node].op->name == "variable";
      ir::Node source = graph[variable ? v.node : 0];
      source.control.clear();
      if (!variable) {
        source.op = &primitive("placeholder");
        source.attributes = {{"dtype", graph.type(v).dtype}};
        source.attributes.set_shape(graph.type(v).shape);
      }
      infer_types(small, source);
      v = {small.add(std::move(source)), 0};
    }
    small.add(std::move(last));
    const std::string text = print(small), before = text.substr(0, text.rfind('\n', text.size() - 2) + 1), line = text.substr(before.size());
    for (int round = 0; round < 40; ++round) {
      try {
        parse_text(before + damage(line, random));
      } catch (const GraphError&) {
        // As good as parsing: the process is still there.
      }
    }
    EXPECT_EQ(print(parse_text(text)), text);
  }
}

}  // namespace
}  // namespace weft::text_test
