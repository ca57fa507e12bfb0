#include <weft/ndarray.h>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

namespace weft::ndarray_test {
namespace {

constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();

/// 0, 1, 2, ... as i32.
NDArray iota(Shape shape) {
  NDArray a(i32, shape);
  std::iota(a.elements<std::int32_t>().begin(), a.elements<std::int32_t>().end(), 0);
  return a;
}

template <Element T> std::vector<T> values(const NDArray& a) {
  const NDArray d = a.dense();
  return {d.elements<T>().begin(), d.elements<T>().end()};
}

using Ints = std::vector<std::int32_t>;

/// Expects a RunError whose text has `part`.
template <class F> void expect_refused(F&& f, const std::string& part) {
  try {
    f();
    ADD_FAILURE() << "nothing was thrown, expected: " << part;
  } catch (const RunError& e) { EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what(); }
}

TEST(NDArray, DefaultsToAScalarZero) {
  const NDArray a;
  EXPECT_EQ(a.type().str(), "f32[]");
  EXPECT_EQ(a.item(), 0.0);
}

TEST(NDArray, OwnMemoryIsAlignedAndZeroForEveryType) {
  for (int t = 0; t < dtype_count; ++t) {
    const NDArray a(static_cast<DType>(t), {3, 5});
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.data()) % 64, 0u);
    std::vector<std::byte> bytes(static_cast<std::size_t>(a.byte_count()), std::byte{1});
    a.read_bytes(bytes);
    for (auto b : bytes) EXPECT_EQ(b, std::byte{0});
  }
}

TEST(NDArray, CopiesShareElementsAndCopyDoesNot) {
  NDArray a = iota({4}), shared = a, own = a.copy();
  a.elements<std::int32_t>()[0] = 9;
  EXPECT_EQ(values<std::int32_t>(shared), (Ints{9, 1, 2, 3}));
  EXPECT_EQ(values<std::int32_t>(own), (Ints{0, 1, 2, 3}));
}

TEST(NDArray, OfRefusesAWrongNumberOfValues) {
  expect_refused([] { NDArray::of<float>({2, 2}, {1, 2, 3}); }, "array f32[2,2]: has 16 bytes, 12 are given");
  expect_refused([] { NDArray::of<float>({2}, {1, 2, 3}); }, "array f32[2]: has 8 bytes, 12 are given");
}

TEST(NDArray, RefusesSizesThatMemoryCannotHave) {
  expect_refused([] { NDArray(f32, {dynamic}); }, "sizes must be known");
  expect_refused([] { NDArray(f32, Shape::unranked()); }, "sizes must be known");
  expect_refused([] { NDArray(f32, {huge}); }, "more bytes than memory can have");
  expect_refused([] { NDArray(f64, {std::int64_t{1} << 50}); }, "more bytes than memory can have");
  expect_refused([] { NDArray(f64, {0, std::int64_t{1} << 50, std::int64_t{1} << 50}); }, "strides don't fit");
}

TEST(NDArray, SliceTakesEveryStepFromStartToBeforeEnd) {
  const NDArray a = iota({3, 5});
  EXPECT_EQ(values<std::int32_t>(a.slice(1, 1, 5, 2)), (Ints{1, 3, 6, 8, 11, 13}));
  EXPECT_EQ(values<std::int32_t>(a.slice(0, 2, -1, -1)), (Ints{10, 11, 12, 13, 14, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4}));
  EXPECT_EQ(values<std::int32_t>(a.slice(1, 4, 0, -3)), (Ints{4, 1, 9, 6, 14, 11}));
  EXPECT_EQ(a.slice(1, 3, 3).shape(), (Shape{3, 0}));
  EXPECT_EQ(values<std::int32_t>(a.slice(1, 2, 5, huge)), (Ints{2, 7, 12}));
  EXPECT_EQ(values<std::int32_t>(a.slice(1, 2, -1, std::numeric_limits<std::int64_t>::min())), (Ints{2, 7, 12}));
}

TEST(NDArray, WritingAViewWritesTheArray) {
  NDArray a = iota({2, 3});
  a.slice(1, 2, -1, -2).assign(NDArray::of<std::int32_t>({2, 2}, {10, 20, 30, 40}));
  EXPECT_EQ(values<std::int32_t>(a), (Ints{20, 1, 10, 40, 4, 30}));
}

TEST(NDArray, SliceRefusesWhatDoesNotLieInTheDimension) {
  const NDArray a = iota({3, 5});
  expect_refused([&] { a.slice(2, 0, 1); }, "axis 2 is out of range");
  expect_refused([&] { a.slice(-1, 0, 1); }, "axis -1 is out of range");
  expect_refused([&] { a.slice(0, 0, 4); }, "slice from 0 to 4 in steps of 1 doesn't lie in dimension 0");
  expect_refused([&] { a.slice(0, -1, 2); }, "slice from -1");
  expect_refused([&] { a.slice(0, 2, 1); }, "slice from 2 to 1");
  expect_refused([&] { a.slice(0, 0, 2, 0); }, "steps of 0");
  expect_refused([&] { a.slice(0, 3, 0, -1); }, "slice from 3");
}

TEST(NDArray, TransposePermutesDimensions) {
  const NDArray a = iota({2, 3, 4});
  const int permutation[] = {2, 0, 1};
  const NDArray t = a.transpose(permutation);
  EXPECT_EQ(t.shape(), (Shape{4, 2, 3}));
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 2; ++j)
      for (int k = 0; k < 3; ++k) EXPECT_EQ(t.slice(0, i, i + 1).slice(1, j, j + 1).slice(2, k, k + 1).item(), j * 12 + k * 4 + i);
  EXPECT_EQ(values<std::int32_t>(iota({2, 3}).transpose(0, 1)), (Ints{0, 3, 1, 4, 2, 5}));
  const int twice[] = {0, 0, 1}, outside[] = {0, 1, 3};
  expect_refused([&] { a.transpose(twice); }, "axis 0 twice");
  expect_refused([&] { a.transpose(outside); }, "axis 3 is out of range");
  expect_refused([&] { a.transpose(std::span(twice).first(2)); }, "a permutation of 2 dimensions");
}

TEST(NDArray, LargeTransposesAreCopiedElementForElement) {
  const NDArray a = iota({3, 201, 131}), t = a.transpose(1, 2).copy();
  const auto from = a.elements<std::int32_t>(), to = t.elements<std::int32_t>();
  for (std::size_t n = 0; n < 3; ++n)
    for (std::size_t i = 0; i < 201; ++i)
      for (std::size_t j = 0; j < 131; ++j) ASSERT_EQ(to[(n * 131 + j) * 201 + i], from[(n * 201 + i) * 131 + j]);
}

TEST(NDArray, ReshapeIsAViewWhereStridesAllow) {
  const NDArray a = iota({2, 3, 4});
  EXPECT_EQ(a.reshape({6, 4}).data(), a.data());
  EXPECT_EQ(a.reshape({dynamic, 2}).shape(), (Shape{12, 2}));
  const NDArray rows = a.slice(0, 1, -1, -1);
  EXPECT_EQ(rows.reshape({2, 12}).data(), rows.data());
  EXPECT_EQ(values<std::int32_t>(rows.reshape({2, 2, 6}).slice(0, 1, 2)), values<std::int32_t>(a.slice(0, 0, 1)));
  const NDArray t = a.transpose(0, 2).reshape({4, 6});
  EXPECT_NE(t.data(), a.data());
  EXPECT_EQ(values<std::int32_t>(t), values<std::int32_t>(a.transpose(0, 2)));
  EXPECT_EQ(iota({1, 6, 1}).reshape({6, 1, 1, 1}).shape(), (Shape{6, 1, 1, 1}));
  EXPECT_EQ(NDArray(f32, {0, 3}).reshape({5, 0}).shape(), (Shape{5, 0}));
  EXPECT_EQ(iota({1, 1}).reshape({}).item(), 0);
}

TEST(NDArray, ReshapeRefusesOtherCounts) {
  const NDArray a = iota({2, 3});
  expect_refused([&] { a.reshape({5}); }, "array i32[2,3]: can't be reshaped to [5], the counts of elements differ");
  expect_refused([&] { a.reshape({4, dynamic}); }, "no size gives as many");
  expect_refused([&] { a.reshape({dynamic, dynamic}); }, "only one size");
  expect_refused([&] { NDArray(f32, {0}).reshape({0, dynamic}); }, "can be anything");
  expect_refused([&] { a.reshape(Shape::unranked()); }, "rank must be known");
}

TEST(NDArray, BroadcastRepeatsWithoutCopying) {
  const NDArray a = iota({3, 1}), b = a.broadcast_to({2, 3, 2});
  EXPECT_EQ(b.data(), a.data());
  EXPECT_EQ(values<std::int32_t>(b), (Ints{0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2}));
  expect_refused([&] { a.broadcast_to({2, 2}); }, "doesn't broadcast to [2,2]");
  expect_refused([&] { a.broadcast_to({1, 1}); }, "doesn't broadcast");
  expect_refused([&] { a.broadcast_to({dynamic, 1}); }, "doesn't broadcast");
}

TEST(NDArray, SixteenDimensionsWork) {
  const NDArray a = iota({2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2});
  std::array<int, 16> reversed{};
  for (int i = 0; i < 16; ++i) reversed[static_cast<std::size_t>(i)] = 15 - i;
  const NDArray t = a.transpose(reversed).copy();
  const auto e = t.elements<std::int32_t>();
  for (unsigned i = 0; i < e.size(); ++i) {
    unsigned mirrored = 0;
    for (int b = 0; b < 16; ++b) mirrored |= ((i >> b) & 1u) << (15 - b);
    ASSERT_EQ(e[i], static_cast<std::int32_t>(mirrored));
  }
}

TEST(NDArray, EmptyArraysGoThroughEverything) {
  const NDArray a(f32, {2, 0, 3});
  EXPECT_EQ(a.copy().shape(), a.shape());
  EXPECT_EQ(a.cast(i8).dtype(), i8);
  EXPECT_EQ(a.slice(0, 1, 2).slice(1, 0, 0).transpose(0, 2).shape(), (Shape{3, 0, 1}));
  EXPECT_EQ(a.slice(1, -1, -1, -1).element_count(), 0);
  EXPECT_EQ(a.elements<float>().size(), 0u);
  EXPECT_EQ(a.str(), "f32[2,0,3] [[], []]");
  a.read_bytes({});
}

TEST(NDArray, OverlappingAssignCopiesAsIfFromAnUntouchedSource) {
  NDArray a = iota({6});
  a.slice(0, 1, 6).assign(a.slice(0, 0, 5));
  EXPECT_EQ(values<std::int32_t>(a), (Ints{0, 0, 1, 2, 3, 4}));
  NDArray b = iota({4});
  b.assign(b.slice(0, 3, -1, -1));
  EXPECT_EQ(values<std::int32_t>(b), (Ints{3, 2, 1, 0}));
  expect_refused([&] { b.assign(NDArray(f32, {4})); }, "array i32[4]: can't take the elements of f32[4]");
}

TEST(NDArray, CastsFloatingPointToIntegersTowardsZeroSaturating) {
  const double inf = std::numeric_limits<double>::infinity();
  const NDArray a = NDArray::of<double>({8}, {1.9, -1.9, 300, -300, 1e30, -inf, std::nan(""), 0.5});
  EXPECT_EQ(values<std::int8_t>(a.cast(i8)), (std::vector<std::int8_t>{1, -1, 127, -128, 127, -128, 0, 0}));
  EXPECT_EQ(values<std::uint8_t>(a.cast(u8)), (std::vector<std::uint8_t>{1, 0, 255, 0, 255, 0, 0, 0}));
  EXPECT_EQ(values<std::int64_t>(a.cast(i64))[4], huge);
  EXPECT_EQ(values<std::uint64_t>(a.cast(f32).cast(u64))[4], std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(values<std::int64_t>(NDArray::scalar(0x1p63f).cast(i64))[0], huge);
  EXPECT_EQ(values<bool>(a.cast(boolean)), (std::vector<bool>{true, true, true, true, true, true, true, true}));
}

TEST(NDArray, CastsIntegersExactlyOrByTwosComplement) {
  const std::int64_t big = (std::int64_t{1} << 62) + 1;
  EXPECT_EQ(values<std::uint64_t>(NDArray::scalar(big).cast(u64))[0], static_cast<std::uint64_t>(big));
  EXPECT_EQ(values<std::uint8_t>(NDArray::of<std::int32_t>({3}, {-1, 256, 300}).cast(u8)), (std::vector<std::uint8_t>{255, 0, 44}));
  EXPECT_EQ(values<std::int32_t>(NDArray::of<std::uint32_t>({1}, {0xffffffffu}).cast(i32)), (Ints{-1}));
}

TEST(NDArray, CastsToHalvesRoundOnce) {
  // Through f32 each of these would first land on a tie and then round to even, away from the nearest half.
  const NDArray a = NDArray::of<double>({2}, {1.0 + 0x1p-11 + 0x1p-40, 1.0 + 0x1p-8 + 0x1p-40});
  EXPECT_EQ(static_cast<float>(values<float16>(a.cast(f16))[0]), 1.0f + 0x1p-10f);
  EXPECT_EQ(static_cast<float>(values<bfloat16>(a.cast(bf16))[1]), 1.0f + 0x1p-7f);
  const std::int64_t n = (std::int64_t{1} << 60) + (std::int64_t{1} << 52) + 1;
  EXPECT_EQ(static_cast<float>(values<bfloat16>(NDArray::scalar(n).cast(bf16))[0]), 0x1p60f + 0x1p53f);
  EXPECT_EQ(static_cast<float>(values<bfloat16>(NDArray::scalar(-n).cast(bf16))[0]), -0x1p60f - 0x1p53f);
  EXPECT_TRUE(std::isinf(NDArray::scalar(70000).cast(f16).item()));
  EXPECT_EQ(NDArray::scalar(0x1p-24).cast(f16).item(), 0x1p-24);
}

TEST(NDArray, CastsComplexByTheRealPart) {
  const NDArray a = NDArray::of<std::complex<float>>({2}, {{1.5f, 2}, {0, 1}});
  EXPECT_EQ(values<float>(a.cast(f32)), (std::vector<float>{1.5f, 0}));
  EXPECT_EQ(values<bool>(a.cast(boolean)), (std::vector<bool>{true, true}));
  EXPECT_EQ(values<std::complex<float>>(NDArray::scalar(3).cast(c64))[0], std::complex<float>(3, 0));
}

TEST(NDArray, EveryPairOfTypesConvertsSmallIntegersUnchanged) {
  for (int from = 0; from < dtype_count; ++from)
    for (int to = 0; to < dtype_count; ++to) {
      const NDArray source = NDArray::of<std::int32_t>({2, 3}, {0, 1, 1, 0, 0, 1}).cast(static_cast<DType>(from));
      const NDArray strided = source.transpose(0, 1).cast(static_cast<DType>(to));
      EXPECT_EQ(values<std::int32_t>(strided.transpose(0, 1).cast(i32)), (Ints{0, 1, 1, 0, 0, 1}))
          << name_of(static_cast<DType>(from)) << " to " << name_of(static_cast<DType>(to));
    }
}

TEST(NDArray, BytesAreReadAndWrittenWithStrides) {
  const std::array<std::int16_t, 6> column_major{1, 4, 2, 5, 3, 6};
  NDArray a(i16, {2, 3});
  a.write_bytes(std::as_bytes(std::span(column_major)), std::array<std::int64_t, 2>{2, 4});
  EXPECT_EQ(values<std::int16_t>(a), (std::vector<std::int16_t>{1, 2, 3, 4, 5, 6}));
  std::array<std::int16_t, 6> out{};
  a.read_bytes(std::as_writable_bytes(std::span(out)), std::array<std::int64_t, 2>{2, 4});
  EXPECT_EQ(out, column_major);
  std::array<float, 6> floats{};
  a.export_to(floats.data(), f32);
  EXPECT_EQ(floats, (std::array<float, 6>{1, 2, 3, 4, 5, 6}));
  a.import_from(std::array<double, 1>{-7}.data(), f64, std::array<std::int64_t, 2>{0, 0});
  EXPECT_EQ(values<std::int16_t>(a), std::vector<std::int16_t>(6, -7));
}

TEST(NDArray, BytesThatDoNotHoldTheElementsAreRefused) {
  NDArray a(i16, {2, 3});
  std::array<std::byte, 12> bytes{};
  using Steps = std::array<std::int64_t, 2>;
  expect_refused([&] { a.write_bytes(std::span(bytes).first(11)); }, "has 12 bytes, 11 are given");
  expect_refused([&] { a.read_bytes(std::span(bytes).first(11)); }, "elements reach over 12 bytes, 11 are given");
  expect_refused([&] { a.write_bytes(bytes, Steps{8, 2}); }, "elements reach over 14 bytes, 12 are given");
  expect_refused([&] { a.write_bytes(bytes, Steps{-6, 2}); }, "strides reach 6 bytes before the given memory");
  expect_refused([&] { a.write_bytes(bytes, Steps{huge, huge}); }, "strides reach past 64 bits");
  expect_refused([&] { a.write_bytes(bytes, std::array<std::int64_t, 1>{2}); }, "1 strides given for 2 dimensions");
  expect_refused([&] { a.import_from(nullptr, f32); }, "no memory is given");
}

TEST(NDArray, BytesWrittenToABoolBecomeZeroOrOne) {
  NDArray a(boolean, {3});
  const std::array<std::byte, 3> bytes{std::byte{0}, std::byte{2}, std::byte{255}};
  a.write_bytes(bytes);
  std::array<std::byte, 3> out{};
  a.read_bytes(out);
  EXPECT_EQ(out, (std::array<std::byte, 3>{std::byte{0}, std::byte{1}, std::byte{1}}));
}

TEST(NDArray, WrapKeepsItsOwnerAliveAsLongAsAView) {
  auto memory = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3});
  const std::weak_ptr<std::vector<float>> watch = memory;
  NDArray view = NDArray::wrap(memory->data(), {f32, {3}}, {}, memory).slice(0, 2, -1, -1);
  memory.reset();
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(values<float>(view), (std::vector<float>{3, 2, 1}));
  view = {};
  EXPECT_TRUE(watch.expired());
}

TEST(NDArray, ElementsNeedTheTypeADenseLayoutAndAlignment) {
  NDArray a(f32, {2, 3});
  expect_refused([&] { a.elements<double>(); }, "its elements aren't f64");
  expect_refused([&] { a.transpose(0, 1).elements<float>(); }, "aren't dense");
  alignas(8) std::array<std::byte, 16> bytes{};
  NDArray odd = NDArray::wrap(bytes.data() + 1, {f32, {2}});
  expect_refused([&] { odd.elements<float>(); }, "isn't aligned");
  odd.assign(NDArray::of<float>({2}, {1.5f, 2.5f}));
  EXPECT_EQ(values<float>(odd.copy()), (std::vector<float>{1.5f, 2.5f}));
}

TEST(NDArray, ItemNeedsOneElement) {
  EXPECT_EQ(NDArray::of<float16>({1, 1}, {float16(1.5f)}).item(), 1.5);
  EXPECT_EQ(NDArray::scalar(true).item(), 1);
  expect_refused([] { NDArray(f32, {2}).item(); }, "exactly one element");
}

TEST(NDArray, PrintsTypeAndElements) {
  EXPECT_EQ(NDArray::of<float>({2, 2}, {1, 2.5f, -0.1f, 4}).str(), "f32[2,2] [[1, 2.5], [-0.1, 4]]");
  EXPECT_EQ(NDArray::scalar(float16(0.1f)).str(), "f16[] 0.099976");
  EXPECT_EQ(NDArray::of<bool>({2}, {true, false}).str(), "bool[2] [true, false]");
  EXPECT_EQ(NDArray::of<std::complex<float>>({1}, {{1, -2}}).str(), "c64[1] [1-2i]");
  EXPECT_EQ(NDArray::scalar(std::numeric_limits<std::int8_t>::min()).str(), "i8[] -128");
  EXPECT_EQ(iota({1000}).str(), "i32[1000] [0, 1, 2, ..., 997, 998, 999]");
  EXPECT_LT(iota({2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2}).str().size(), 4000u);
}

TEST(TensorData, ReferenceSeesTheCallersMemory) {
  std::array<float, 6> memory{1, 2, 3, 4, 5, 6};
  const TensorData d = TensorData::reference<float>({2, 2}, memory, std::array<std::int64_t, 2>{12, 8});
  EXPECT_EQ(values<float>(d.array()), (std::vector<float>{1, 3, 4, 6}));
  memory[0] = 9;
  EXPECT_EQ(d.array().slice(0, 0, 1).slice(1, 0, 1).item(), 9);
  const TensorData repeated = TensorData::reference<const float>({1000}, std::span<const float>(memory).first(1), std::array<std::int64_t, 1>{0});
  EXPECT_EQ(repeated.array().slice(0, 999, 1000).item(), 9);
}

TEST(TensorData, ReferenceRefusesMemoryThatIsTooSmall) {
  std::array<float, 6> memory{};
  using Steps = std::array<std::int64_t, 1>;
  expect_refused([&] { TensorData::reference<float>({7}, memory); }, "elements reach over 28 bytes, 24 are given");
  expect_refused([&] { TensorData::reference<float>({3}, memory, Steps{12}); }, "elements reach over 28 bytes");
  expect_refused([&] { TensorData::reference<float>({3}, memory, Steps{-4}); }, "8 bytes before the given memory");
  expect_refused([&] { TensorData::reference<float>({3}, memory, Steps{huge}); }, "past 64 bits");
  expect_refused([&] { TensorData::reference<float>({huge}, memory, Steps{0}); }, "more bytes than memory can have");
  expect_refused([&] { TensorData::reference(nullptr, 24, {f32, {6}}); }, "no memory is given");
  EXPECT_NO_THROW(TensorData::reference<float>({0, 5}, std::span<float>()));
}

}  // namespace
}  // namespace weft::ndarray_test
