#include <weft/dlpack.h>

#include "compile/backend.h"

#include <weft/weft.h>

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

namespace weft::dlpack_test {
namespace {

/// A tensor as another library gives it: elements 0, 1, 2, ... on the host.
struct Given {
  std::vector<float> elements = std::vector<float>(24);
  std::vector<std::int64_t> shape, strides;
  DLManagedTensorVersioned managed{};
  int deleted = 0;

  explicit Given(std::vector<std::int64_t> sizes, std::vector<std::int64_t> steps = {}) : shape(std::move(sizes)), strides(std::move(steps)) {
    std::iota(elements.begin(), elements.end(), 0.0f);
    managed.version = {1, 0};
    managed.manager_ctx = this;
    managed.deleter = [](DLManagedTensorVersioned* self) { ++static_cast<Given*>(self->manager_ctx)->deleted; };
    DLTensor& t = managed.dl_tensor;
    t.data = elements.data();
    t.device = {kDLCPU, 0};
    t.ndim = static_cast<std::int32_t>(shape.size());
    t.dtype = {kDLFloat, 32, 1};
    t.shape = shape.data();
    t.strides = strides.empty() ? nullptr : strides.data();
  }
  Given(const Given&) = delete;
  Given& operator=(const Given&) = delete;

  std::string refusal() {
    try {
      from_dlpack(&managed);
    } catch (const RunError& e) { return e.what(); }
    return "taken";
  }
};

TEST(Dlpack, ArraysShareElementsUntilTheLastOfThemIsGone) {
  Given given({2, 3});
  {
    NDArray array = from_dlpack(&given.managed);
    EXPECT_EQ(array.type().str(), "f32[2,3]");
    EXPECT_EQ(array.elements<float>()[5], 5);
    given.elements[5] = 50;
    EXPECT_EQ(array.elements<float>()[5], 50);
    array.elements<float>()[0] = 7;
    EXPECT_EQ(given.elements[0], 7);
    const NDArray view = array.slice(0, 1, 2);
    array = NDArray();
    EXPECT_EQ(given.deleted, 0);
  }
  EXPECT_EQ(given.deleted, 1);
}

TEST(Dlpack, StridesAndOffsetsAreKept) {
  Given given({3, 2}, {1, -4});
  given.managed.dl_tensor.byte_offset = 4 * sizeof(float);
  const NDArray array = from_dlpack(&given.managed);
  EXPECT_EQ(array.copy().str(), "f32[3,2] [[4, 0], [5, 1], [6, 2]]");
  Graph g;
  const Tensor x = g.placeholder({3, 2}, f32);
  EXPECT_EQ(g.run({{x, array}}, {x * 2.0f})[0].str(), "f32[3,2] [[8, 0], [10, 2], [12, 4]]");
}

TEST(Dlpack, ScalarsAndEmptyArraysNeedNoShapeOrMemory) {
  Given scalar({});
  scalar.managed.dl_tensor.shape = nullptr;
  EXPECT_EQ(from_dlpack(&scalar.managed).item(), 0);
  Given empty({0, 3});
  empty.managed.dl_tensor.data = nullptr;
  EXPECT_EQ(from_dlpack(&empty.managed).element_count(), 0);
}

TEST(Dlpack, ReadOnlyElementsAreCopiedUnlessTheCallerWantsThemShared) {
  Given given({4});
  given.managed.flags = DLPACK_FLAG_BITMASK_READ_ONLY;
  NDArray copy = from_dlpack(&given.managed);
  EXPECT_EQ(given.deleted, 1);
  EXPECT_NE(static_cast<const void*>(copy.data()), given.elements.data());
  EXPECT_EQ(copy.elements<float>()[3], 3);

  Given shared({4});
  shared.managed.flags = DLPACK_FLAG_BITMASK_READ_ONLY;
  const NDArray array = from_dlpack(&shared.managed, {.shares_read_only = true});
  EXPECT_EQ(static_cast<const void*>(array.data()), shared.elements.data());
  EXPECT_EQ(shared.deleted, 0);
}

TEST(Dlpack, WhatDoesNotFitIsRefusedAndStaysTheCallers) {
  const auto refusal = [](auto&& change) {
    Given given({2, 3});
    change(given.managed);
    const std::string text = given.refusal();
    EXPECT_EQ(given.deleted, 0) << text;
    return text;
  };
  EXPECT_EQ(refusal([](auto& m) { m.version = {2, 1}; }), "from_dlpack: the tensor is of DLPack 2.1, expects 1");
  EXPECT_EQ(refusal([](auto& m) {
              m.dl_tensor.dtype = {kDLFloat, 32, 4};
            }),
            "from_dlpack: there is no element type for code 2 with 32 bits and 4 lanes");
  EXPECT_EQ(refusal([](auto& m) {
              m.dl_tensor.dtype = {kDLComplex, 128, 1};
            }),
            "from_dlpack: there is no element type for code 5 with 128 bits and 1 lanes");
  EXPECT_EQ(refusal([](auto& m) { m.dl_tensor.device.device_type = static_cast<DLDeviceType>(7); }),
            "from_dlpack: the tensor is on a device of type 7, expects 1 (CPU), 2, 3 or 13 (CUDA)");
  EXPECT_EQ(refusal([](auto& m) { m.dl_tensor.ndim = 17; }), "from_dlpack: the tensor has 17 dimensions, an array has 0 to 16");
  EXPECT_EQ(refusal([](auto& m) { m.dl_tensor.shape[1] = -3; }), "from_dlpack: dimension 1 has size -3");
  EXPECT_EQ(refusal([](auto& m) { m.dl_tensor.data = nullptr; }), "from_dlpack: the tensor has elements, but no memory");
  EXPECT_EQ(refusal([](auto& m) { m.dl_tensor.byte_offset = 2; }), "from_dlpack: elements don't lie at multiples of their size");
}

TEST(Dlpack, AllElementTypesGoOutAndComeBack) {
  for (const DType dtype : {f32, f16, bf16, f64, i8, i16, i32, i64, u8, u16, u32, u64, boolean, c64}) {
    NDArray array(dtype, {2, 5});
    DLManagedTensorVersioned* const managed = to_dlpack(array);
    EXPECT_EQ(managed->version.major, 1u);
    EXPECT_EQ(managed->flags, 0u);
    EXPECT_EQ(managed->dl_tensor.dtype.bits, 8 * size_of(dtype));
    const NDArray back = from_dlpack(managed);
    EXPECT_EQ(back.type(), array.type());
    EXPECT_EQ(back.data(), array.data());
  }
}

TEST(Dlpack, GivenTensorsKeepElementsAlive) {
  DLManagedTensor* managed = nullptr;
  {
    const NDArray array = NDArray::of<float>({2, 2}, {1, 2, 3, 4}).transpose(0, 1);
    managed = to_dlpack_unversioned(array);
  }
  const DLTensor& t = managed->dl_tensor;
  EXPECT_EQ(t.strides[0], 1);
  EXPECT_EQ(t.strides[1], 2);
  EXPECT_EQ(from_dlpack(managed).copy().str(), "f32[2,2] [[1, 3], [2, 4]]");
}

TEST(Dlpack, MarksArraysAsReadOnlyWhereItCan) {
  const NDArray array(f32, {3});
  DLManagedTensorVersioned* const managed = to_dlpack(array, {.is_read_only = true});
  EXPECT_EQ(managed->flags, DLPACK_FLAG_BITMASK_READ_ONLY);
  managed->deleter(managed);
  EXPECT_THROW(to_dlpack_unversioned(array, {.is_read_only = true}), RunError);
  std::int16_t memory[8] = {};
  const std::int64_t odd[] = {3};
  EXPECT_THROW(to_dlpack(NDArray::wrap(memory, {i16, {4}}, odd)), RunError);
}

TEST(Dlpack, ArraysOfAGpuAreShared) {
  if (const auto why = why_not(Backend::cuda); !why.empty()) GTEST_SKIP() << why;
  Graph g;
  const Tensor x = g.placeholder({1000}, f32), y = x + 1.0f;
  NDArray result(f32, {1000}, Device::cuda());
  Results results{{y, result}};
  g.run({{x, NDArray(f32, {1000})}}, results, {}, {.backend = Backend::cuda});
  DLManagedTensorVersioned* const managed = to_dlpack(result, {.stream = nullptr});
  EXPECT_EQ(managed->dl_tensor.device.device_type, kDLCUDA);
  const NDArray back = from_dlpack(managed, {.stream = nullptr});
  EXPECT_EQ(back.device(), Device::cuda());
  EXPECT_EQ(back.data(), result.data());
  EXPECT_EQ(back.slice(0, 999, 1000).item(), 1);
}

}  // namespace
}  // namespace weft::dlpack_test
