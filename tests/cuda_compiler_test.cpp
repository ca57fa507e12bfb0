// NVRTC, which needs no GPU.
#include "backend/cuda/compiler.h"

#include "file_testing.h"

#include <weft/error.h>

#include <gtest/gtest.h>

#include <string>

namespace weft::cuda::cuda_compiler_test {
namespace {

class CompilerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!compiler_.refusal().empty()) GTEST_SKIP() << compiler_.refusal();
  }
  const Compiler& compiler_ = Compiler::instance();
};

TEST_F(CompilerTest, GivesMachineCodeForEveryGeneration) {
  const std::string source = R"(extern "C" __global__ void twice(float* x) { x[threadIdx.x] *= 2.0f; })";
  for (const int capability : {80, 86, 89, 90, 100, 120}) {
    const auto code = compiler_.compile(source, compiler_.target(capability));
    ASSERT_GT(code.size(), 4u) << capability;
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(code.data()) + 1, 3), "ELF") << capability;
  }
}

TEST_F(CompilerTest, TakesADevicesOwnInstructionsFromHopperOn) {
  EXPECT_EQ(compiler_.target(80), "sm_80");
  EXPECT_EQ(compiler_.target(90), "sm_90a");
}

TEST_F(CompilerTest, GivesTextForADeviceThatItDoesNotKnow) {
  const std::string target = compiler_.target(999);
  EXPECT_TRUE(target.starts_with("compute_")) << target;
  const auto code = compiler_.compile(R"(extern "C" __global__ void nothing() {})", target);
  EXPECT_NE(std::string(reinterpret_cast<const char*>(code.data()), code.size()).find(".entry nothing"), std::string::npos);
}

TEST_F(CompilerTest, RoundsProductsAndSumsOneByOne) {
  const auto code = compiler_.compile(R"(extern "C" __global__ void f(float* x) { x[0] = x[0] * x[1] + x[2]; })", compiler_.target(999));
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(code.data()), code.size()).find("fma"), std::string::npos);
}

TEST_F(CompilerTest, IsLoadedOnlyToCompileWhenItWasFoundBefore) {
  const weft::testing::Folder folder;
  const DiskCache cache(folder / "kernels");
  const Compiler first(cache), again(cache);
  EXPECT_TRUE(first.is_loaded());
  EXPECT_FALSE(again.is_loaded());
  EXPECT_EQ(again.version(), first.version());
  EXPECT_EQ(again.path(), first.path());
  for (const int capability : {80, 90, 999}) EXPECT_EQ(again.target(capability), first.target(capability));
  const std::string source = R"(extern "C" __global__ void nothing() {})";
  EXPECT_EQ(again.compile(source, "sm_90a"), first.compile(source, "sm_90a"));
  EXPECT_TRUE(again.is_loaded());
}

TEST_F(CompilerTest, IsLookedForAgainWhenItsFileHasChanged) {
  Compiler::Facts facts{compiler_.path(), compiler_.version(), "1,1.1", {90}};
  EXPECT_FALSE(Compiler::Facts::parse(facts.str())) << "another size and time";
  facts.path = "/nowhere/libnvrtc.so.13";
  EXPECT_FALSE(Compiler::Facts::parse(facts.str())) << "no file";
  EXPECT_FALSE(Compiler::Facts::parse("")) << "no text";
}

TEST_F(CompilerTest, SaysWhatIsWrongWithASource) {
  try {
    compiler_.compile("extern \"C\" __global__ void f() { nonsense; }", "sm_90a");
    ADD_FAILURE() << "nothing was thrown";
  } catch (const InternalError& e) { EXPECT_NE(std::string(e.what()).find("\"nonsense\" is undefined"), std::string::npos) << e.what(); }
}

}  // namespace
}  // namespace weft::cuda::cuda_compiler_test
