#include "file_testing.h"

#include <weft/elementwise.h>
#include <weft/graph.h>
#include <weft/matmul.h>
#include <weft/primitives/array_descriptor.h>
#include <weft/primitives/matrix.h>
#include <weft/primitives/temporary_array.h>
#include <weft/queue.h>

#include <thread>

namespace weft::array_descriptor_test {
namespace {

using testing::counting, testing::expect_equal, testing::expect_run_error;

constexpr std::int64_t huge = std::int64_t{1} << 62;

TEST(ArrayDescriptor, DoesItsStepsInOrder) {
  const NDArray array = counting(f32, {4, 6, 2});
  ArrayDescriptor descriptor(array.type());
  descriptor.slice(0, 1, 4).slice(1, 5, -1, -2).transpose(0, 1).permute({2, 0, 1});
  const NDArray expected = array.slice(0, 1, 4).slice(1, 5, -1, -2).transpose(0, 1).transpose(std::vector<int>{2, 0, 1});
  expect_equal(descriptor.apply(array), expected);
  descriptor.reshape({9, dynamic});
  expect_equal(descriptor.apply(array), expected.reshape({9, 2}));
}

TEST(ArrayDescriptor, SharesElementsOrNotAsAsked) {
  NDArray array = counting(i32, {2, 6});
  const ArrayDescriptor columns = ArrayDescriptor(i32, {2, dynamic}).slice(1, 2, 4);
  const ArrayDescriptor turned = ArrayDescriptor(i32, {2, 6}).transpose(0, 1).reshape({12});
  EXPECT_EQ(columns.apply(array).data(), array.data() + 8);
  EXPECT_EQ(columns.apply(array, Aliasing::required).data(), array.data() + 8);
  EXPECT_EQ(ArrayDescriptor(i32, {2, 6}).reshape({3, 4}).apply(array, Aliasing::required).data(), array.data());
  const NDArray apart = columns.apply(array, Aliasing::forbidden);
  expect_equal(apart, columns.apply(array));
  array.elements<std::int32_t>()[2] = 99;
  EXPECT_EQ(apart.elements<std::int32_t>()[0], 3);
  expect_equal(turned.apply(array, Aliasing::forbidden), turned.apply(array));
  expect_run_error([&] { turned.apply(array, Aliasing::required); }, "strides don't allow a view of i32[6,2] as [12], only a copy");
}

TEST(ArrayDescriptor, ArraysThatItDoesNotFitAreRefused) {
  const ArrayDescriptor descriptor = ArrayDescriptor(f32, {dynamic, 3}).slice(0, 2, 4);
  expect_run_error([&] { descriptor.apply(NDArray(f16, {4, 3})); }, "array descriptor: expects f32[?,3], the array is f16[4,3]");
  expect_run_error([&] { descriptor.apply(NDArray(f32, {4, 4})); }, "expects f32[?,3]");
  expect_run_error([&] { descriptor.apply(NDArray(f32, {3, 3})); }, "slice from 2 to 4");
  expect_run_error([] { ArrayDescriptor(f32, Shape::unranked()).transpose(0, 2).apply(NDArray(f32, {1, 1})); }, "axis 2 is out of range");
}

TEST(MatrixDescriptor, GapsBetweenRowsAreNoPartOfTheMatrix) {
  const std::vector<float> memory = {1, 2, -1, 3, 4, -1, -1, 5, 6, -1, 7, 8};
  const MatrixDescriptor pair{.rows = 2, .columns = 2, .count = 2, .row_bytes = 12, .matrix_bytes = 28};
  EXPECT_EQ(pair.type().str(), "f32[2,2,2]");
  EXPECT_EQ(pair.byte_count(), 48);
  const TensorData data = pair.reference(memory.data(), memory.size() * 4);
  Graph g;
  const Tensor x = g.placeholder({2, 2, 2});
  expect_equal(g.run({{x, data}}, {x + 0.0f})[0], NDArray::of<float>({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}));
  expect_run_error([&] { pair.reference(memory.data(), 47); }, "elements reach over 48 bytes, 47 are given");
}

TEST(MatrixDescriptor, OfOneHasTwoDimensionsAndOfAVectorOne) {
  EXPECT_EQ((MatrixDescriptor{.rows = 3, .columns = 4, .dtype = f16}.type().str()), "f16[3,4]");
  EXPECT_EQ((VectorDescriptor{.length = 4, .dtype = u8}.type().str()), "u8[4]");
  EXPECT_EQ((VectorDescriptor{.length = 4, .count = 3, .vector_bytes = 64}.type().str()), "f32[3,4]");
  EXPECT_EQ((VectorDescriptor{.length = 4, .count = 3, .vector_bytes = 64}.byte_count()), 144);
}

TEST(MatrixDescriptor, AllocatesAlignedRows) {
  EXPECT_EQ(aligned_row_bytes(3, f32), 64);
  EXPECT_EQ(aligned_row_bytes(33, f16), 128);
  for (const Device device : Device::all()) {
    NDArray a = MatrixDescriptor{.rows = 5, .columns = 3, .row_bytes = aligned_row_bytes(3, f32)}.allocate(device);
    EXPECT_EQ(a.strides()[0], 64);
    EXPECT_EQ(a.device(), device);
    a.assign(counting(f32, {5, 3}));
    expect_equal(a, counting(f32, {5, 3}));
  }
}

TEST(MatrixDescriptor, SizesThatMakeNoSenseAreRefused) {
  const auto refuse = [](const MatrixDescriptor& m, const char* part) { expect_run_error([&] { m.type(); }, part); };
  refuse({.rows = -1, .columns = 2}, "sizes must not be negative");
  refuse({.rows = 2, .columns = 2, .row_bytes = 7}, "7 bytes from one row, vector or matrix to the next are less than the 8 of each");
  refuse({.rows = 2, .columns = 2, .row_bytes = -8}, "are less than");
  refuse({.rows = 2, .columns = 2, .count = 2, .row_bytes = 16, .matrix_bytes = 20}, "are less than the 24 of each");
  refuse({.rows = huge, .columns = huge}, "more bytes than 63 bits can count");
  refuse({.rows = 2, .columns = 1, .row_bytes = huge}, "more bytes than 63 bits can count");
  EXPECT_EQ((MatrixDescriptor{.rows = 0, .columns = 5}.byte_count()), 0);
  EXPECT_EQ((MatrixDescriptor{.rows = 0, .columns = 5}.allocate().element_count()), 0);
}

TEST(TemporaryArray, GivesItsMemoryBackAfterTheLastRead) {
  ArrayPool pool;
  TemporaryArray a = pool.temporary({f32, {100}}, 2);
  const std::byte* memory = a.array().data();
  a.array().assign(counting(f32, {100}));
  expect_equal(a.read(), counting(f32, {100}));
  EXPECT_EQ(pool.bytes_in_use(), 400);
  {
    const NDArray last = a.read();
    EXPECT_EQ(a.read_count(), 0);
    expect_equal(last, counting(f32, {100}));
    EXPECT_EQ(pool.bytes_in_use(), 400);
  }
  EXPECT_EQ(pool.bytes_in_use(), 0);
  EXPECT_EQ(pool.bytes_kept(), 400);
  expect_run_error([&] { a.read(); }, "temporary array: it has been read as often as was said");
  expect_run_error([&] { a.set_read_count(3); }, "as often as was said");
  EXPECT_EQ(pool.temporary({u8, {399}}).array().data(), memory);
  EXPECT_NE(pool.temporary({u8, {100}}).array().data(), memory);
  pool.clear();
  EXPECT_EQ(pool.bytes_kept(), 0);
}

TEST(TemporaryArray, OutlivesItsPoolAndRunsThatAreEncoded) {
  Graph g;
  const Tensor x = g.placeholder({1000});
  const Tensor y = x * 2.0f;
  for (const Device device : Device::all()) {
    Queue queue;
    CommandBuffer buffer(queue);
    NDArray result;
    {
      ArrayPool pool;
      TemporaryArray a = pool.temporary({f32, {1000}}, 1, device);
      a.array().assign(counting(f32, {1000}));
      result = buffer.encode(g, {{x, a.read()}}, std::vector<Tensor>{y})[0];
    }
    buffer.commit();
    buffer.wait();
    EXPECT_EQ(result.to(Device::cpu()).elements<float>()[999], 2000);
  }
}

TEST(TemporaryArray, APoolServesSeveralThreads) {
  ArrayPool pool;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 1; i < 200; ++i) {
        TemporaryArray a = pool.temporary({i32, {i}});
        for (auto& e : a.array().elements<std::int32_t>()) e = t;
        const NDArray read = a.read();
        for (const int e : read.elements<std::int32_t>()) ASSERT_EQ(e, t);
      }
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(pool.bytes_in_use(), 0);
}

TEST(TemporaryArray, CountsAndTypesThatMakeNoSenseAreRefused) {
  ArrayPool pool;
  expect_run_error([&] { pool.temporary({f32, {1}}, 0); }, "the read count must be 1 or more, 0 is given");
  expect_run_error([&] { pool.temporary({f32, {dynamic}}); }, "sizes must be known");
  expect_run_error([&] { pool.temporary({f64, {huge}}); }, "more bytes than memory can have");
  EXPECT_EQ(pool.bytes_in_use(), 0);
  EXPECT_EQ(pool.temporary({f32, {0, 3}}).read().element_count(), 0);
}

}  // namespace
}  // namespace weft::array_descriptor_test
