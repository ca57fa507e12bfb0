// What is known of integers before a graph runs, and of indices by it.
#include "compile/value_range.h"

#include "compile/pipeline.h"
#include "graph/primitive.h"

#include <weft/weft.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace weft::value_range_test {
namespace {

const RunOptions reference{.backend = Backend::reference};

std::string text(const std::optional<ValueRange>& r) {
  return r ? std::to_string(static_cast<std::int64_t>(r->least)) + ".." + std::to_string(static_cast<std::int64_t>(r->most)) : "none";
}

struct Built {
  Graph g;
  std::vector<FeedType> feeds;
  Tensor fed(Shape shape, DType dtype = i32) {
    feeds.push_back({g.placeholder(shape, dtype), TensorType{dtype, shape}});
    return feeds.back().placeholder;
  }
  Tensor between(std::int64_t least, std::int64_t most, DType dtype = i32, Shape shape = {4}) {
    return minimum(maximum(fed(shape, dtype), g.constant(least, {}, dtype)), g.constant(most, {}, dtype));
  }
  /// After the passes that simplify.
  Compiled compiled(const Tensor& result) { return compile(*g.state(), feeds, std::vector<Tensor>{result}, {}, reference); }
  std::optional<ValueRange> range(const Tensor& result) {
    const Compiled c = compiled(result);
    return ValueRanges(c.program.graph)[c.program.targets[0]];
  }
};

std::string range_of(const std::function<Tensor(Built&)>& build) {
  Built b;
  return text(b.range(build(b)));
}

TEST(ValueRanges, FollowArithmetic) {
  EXPECT_EQ(range_of([](Built& b) { return b.fed({3}, u8); }), "0..255");
  EXPECT_EQ(range_of([](Built& b) { return b.fed({3}, f32); }), "none");
  EXPECT_EQ(range_of([](Built& b) { return b.between(-3, 7); }), "-3..7");
  EXPECT_EQ(range_of([](Built& b) { return b.between(-3, 7) + b.between(10, 20); }), "7..27");
  EXPECT_EQ(range_of([](Built& b) { return b.between(-3, 7) - b.between(10, 20); }), "-23..-3");
  EXPECT_EQ(range_of([](Built& b) { return b.between(-3, 7) * b.between(-5, 20); }), "-60..140");
  EXPECT_EQ(range_of([](Built& b) { return -b.between(-3, 7); }), "-7..3");
  EXPECT_EQ(range_of([](Built& b) { return abs(b.between(-9, 7)); }), "0..9");
  EXPECT_EQ(range_of([](Built& b) { return abs(b.between(-9, -7)); }), "7..9");
  EXPECT_EQ(range_of([](Built& b) { return iota(b.g, {2, 65}, 1, i32) + b.between(0, 1, i32, {1}); }), "0..65");
  EXPECT_EQ(range_of([](Built& b) { return cast(b.between(-3, 7), i64) + 1; }), "-2..8");
}

TEST(ValueRanges, FollowWhatChoosesElements) {
  EXPECT_EQ(range_of([](Built& b) { return argmax(b.fed({4, 65}, f32), 1, {.dtype = i64}); }), "0..64");
  EXPECT_EQ(range_of([](Built& b) { return argmin(b.fed({4, 65}, f32)); }), "0..259");
  EXPECT_EQ(range_of([](Built& b) { return argsort(b.fed({4, 65}, f32), 0); }), "0..3");
  EXPECT_EQ(range_of([](Built& b) { return top_k(b.fed({4, 65}, f32), 3).indices; }), "0..64");
  EXPECT_EQ(range_of([](Built& b) { return concat({b.between(2, 3), b.between(8, 9)}, 0); }), "2..9");
  EXPECT_EQ(range_of([](Built& b) { return select(b.fed({4}, boolean), b.between(2, 3), b.between(8, 9)); }), "2..9");
  EXPECT_EQ(range_of([](Built& b) { return max(b.between(2, 3), {0}); }), "2..3");
  EXPECT_EQ(range_of([](Built& b) { return gather(b.between(2, 3), b.between(0, 3)); }), "0..3") << "a trusted index is one that is not looked at";
}

TEST(ValueRanges, WrapWithTheirType) {
  EXPECT_EQ(range_of([](Built& b) { return b.between(0, 100, i8) + b.between(0, 100, i8); }), "-128..127");
  EXPECT_EQ(range_of([](Built& b) { return cast(b.between(-1, 100), u8); }), "0..255");
  EXPECT_EQ(range_of([](Built& b) { return cast(b.between(0, 100), u8); }), "0..100");
  Built b;
  const Tensor large = b.fed({2}, u64);
  EXPECT_EQ(b.range(large)->most, ValueRange::Wide(std::numeric_limits<std::uint64_t>::max()));
}

/// Each intermediate value of random integer graphs lies where it is said to.
TEST(ValueRanges, HoldForRandomGraphs) {
  std::mt19937 random(20);
  const auto at_most = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n + 1)); };
  constexpr DType types[] = {i8, u8, i16, u16, i32, u32, i64, u64};
  int narrowed = 0;
  for (int round = 0; round < 400; ++round) {
    Built b;
    const DType dtype = types[at_most(7)];
    const bool is_signed = range_of_type(dtype)->least < 0;
    Feeds feeds;
    std::vector<Tensor> values;
    for (int i = 0; i < 3; ++i) {
      const int least = is_signed ? at_most(60) - 30 : at_most(30), most = least + at_most(90);
      values.push_back(at_most(1) ? b.between(least, most, dtype) : b.g.constant(least, {4}, dtype));
    }
    for (const auto& f : b.feeds) {
      NDArray array(i64, {4});
      for (auto& x : array.elements<std::int64_t>()) x = static_cast<std::int64_t>(random()) * (at_most(1) ? 1 : -1) >> at_most(30);
      NDArray fed(dtype, {4});
      fed.import_from(array.data(), i64);
      feeds.emplace(f.placeholder, TensorData(fed));
    }
    for (int i = 0; i < 6; ++i) {
      const auto any = [&] { return values[static_cast<std::size_t>(at_most(static_cast<int>(values.size()) - 1))]; };
      const Tensor x = any(), y = any();
      switch (at_most(13)) {
        case 0: values.push_back(x + y); break;
        case 1: values.push_back(x - y); break;
        case 2: values.push_back(x * y); break;
        case 3: values.push_back(x / y); break;
        case 4: values.push_back(rem(x, y)); break;
        case 5: values.push_back(minimum(x, y)); break;
        case 6: values.push_back(maximum(x, y)); break;
        case 7: values.push_back(x & y); break;
        case 8: values.push_back(shift_right(x, y)); break;
        case 9: values.push_back(abs(x)); break;
        case 10: values.push_back(select(x < y, x, y)); break;
        case 11: values.push_back(-x); break;
        case 12: values.push_back(slice(concat({x, y}, 0), 0, 2, 4)); break;
        default: values.push_back(cast(cast(x, types[at_most(7)]), dtype)); break;
      }
    }
    const Compiled c = compile(*b.g.state(), b.feeds, values, {}, reference);
    const ValueRanges ranges(c.program.graph);
    const auto results = b.g.run(feeds, values, {}, reference);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const NDArray& r = results[i];
      const auto actual = range_of_elements(r.dtype(), r.data(), r.type().shape.element_count());
      const auto& said = ranges[c.program.targets[i]];
      ASSERT_TRUE(said && actual->within(*said)) << text(actual) << " is not within " << text(said) << "\n" << c.program.str();
      narrowed += *said != *range_of_type(dtype);
    }
  }
  EXPECT_GT(narrowed, 1000);
}

/// Whether an index into something of size `size` is looked at.
bool is_checked(std::int64_t size, const std::function<Tensor(Built&)>& index) {
  Built b;
  const Compiled c = b.compiled(gather(b.fed({size, 2}, f32), index(b)));
  return std::ranges::any_of(c.program.graph.nodes, [&](const ir::Node& n) { return checked_range(c.program.graph, n).has_value(); });
}

TEST(ValueRanges, LetIndicesBeTrusted) {
  const auto drawn = [](Built& b) { return argmax(b.fed({3, 65}, f32), 1); };
  EXPECT_FALSE(is_checked(65, drawn));
  EXPECT_TRUE(is_checked(64, drawn));
  EXPECT_FALSE(is_checked(256, [](Built& b) { return b.fed({5}, u8); }));
  EXPECT_TRUE(is_checked(255, [](Built& b) { return b.fed({5}, u8); }));
  EXPECT_TRUE(is_checked(256, [](Built& b) { return b.fed({5}, i8); }));
  EXPECT_FALSE(is_checked(100, [](Built& b) { return rem(cast(iota(b.g, {5}, 0, i32), u32) + b.fed({1}, u32), b.g.constant(100, {}, u32)); }));
}

TEST(ValueRanges, ReachBackToFeedsAndVariables) {
  const auto source = [](const std::function<Tensor(Built&)>& build) {
    Built b;
    const Compiled c = b.compiled(build(b));
    const auto id = ValueRanges(c.program.graph).source(c.program.targets[0]);
    return id < 0 ? "none" : std::string(c.program.graph[id].op->name);
  };
  const auto variable = [](Built& b) { return b.g.variable(init::zeros({4}, i64)); };
  EXPECT_EQ(source([](Built& b) { return reshape(transpose(b.fed({2, 3}), {1, 0}), {6}); }), "placeholder");
  EXPECT_EQ(source([](Built& b) { return cast(b.fed({2, 3}), i64); }), "placeholder");
  EXPECT_EQ(source([](Built& b) { return cast(b.fed({2, 3}), i8); }), "none") << "another number may be in range";
  EXPECT_EQ(source([&](Built& b) { return broadcast_to(slice(variable(b), 0, 1, 2), {3, 2}); }), "variable");
  EXPECT_EQ(source([&](Built& b) { return variable(b) + 1; }), "none");
}

/// A variable of indices, what is given by it, and what it gets.
struct Chain {
  Graph g;
  Tensor place = g.variable(init::zeros({1}, i32)), count = g.variable(init::zeros({}, i32));
  Tensor table = g.constant(NDArray::of<float>({4}, {1, 2, 3, 4})), x = g.placeholder({1}, i32), taken = gather(table, place);
  std::vector<Operation> operations;
  explicit Chain(bool stays) { operations = {g.assign(place, stays ? rem(abs(x), 4) : x), g.assign(count, count + 1)}; }
};

/// Wherever graphs run, and whatever is known before: a run that fails changes nothing, and those after it are right.
TEST(ValueRanges, DontHideWhatIsOutOfRange) {
  for (const bool stays : {false, true})
    for (const char* backend : {"reference", "automatic"}) {
      Chain c(stays);
      const RunOptions options{.backend = std::string_view(backend) == "reference" ? Backend::reference : Backend::automatic};
      const auto run = [&](int next) {
        return c.g.run({{c.x, NDArray::of<std::int32_t>({1}, {next})}}, {c.taken}, c.operations, options)[0].to(Device::cpu()).elements<float>()[0];
      };
      const auto count = [&] { return c.g.value(c.count).elements<std::int32_t>()[0]; };
      EXPECT_EQ(run(3), 1.0f);
      EXPECT_EQ(run(2), 4.0f);
      EXPECT_EQ(run(stays ? 5 : 1), 3.0f);
      EXPECT_EQ(run(stays ? 6 : 7), 2.0f);
      EXPECT_EQ(count(), 4);
      if (stays) {
        EXPECT_EQ(run(0), 3.0f);
        c.g.set_value(c.place, NDArray::of<std::int32_t>({1}, {7}));
      }
      const int before = count();
      for (int i = 0; i < 3; ++i) EXPECT_THROW(run(0), RunError) << backend;
      EXPECT_EQ(count(), before) << backend;
      EXPECT_EQ(c.g.value(c.place).elements<std::int32_t>()[0], 7);
      c.g.set_value(c.place, NDArray::of<std::int32_t>({1}, {2}));
      EXPECT_EQ(run(1), 3.0f);
      EXPECT_EQ(run(1), 2.0f);
    }
}

/// The same for an index that is fed.
TEST(ValueRanges, AreThoseOfEachFeed) {
  Graph g;
  const Tensor x = g.placeholder({2}, i32), sum = g.variable(init::zeros({2})), table = g.constant(NDArray::of<float>({4}, {1, 2, 3, 4}));
  const std::vector<Operation> operations = {g.assign(sum, sum + gather(table, x))};
  const auto run = [&](std::vector<std::int32_t> at) {
    g.run({{x, NDArray::of<std::int32_t>({2}, std::span<const std::int32_t>(at))}}, {}, operations);
  };
  for (int i = 0; i < 5; ++i) run({0, 3});
  EXPECT_THROW(run({0, 4}), RunError);
  EXPECT_THROW(run({-1, 0}), RunError);
  run({1, 1});
  EXPECT_EQ(g.value(sum).str(), "f32[2] [7, 22]");
}

}  // namespace
}  // namespace weft::value_range_test
