// The devices that there are.
#include <weft/device.h>
#include <weft/error.h>

#include <gtest/gtest.h>

namespace weft::device_test {
namespace {

TEST(Devices, AreKnownByTheirNames) {
  EXPECT_EQ(Device::parse("cpu"), Device::cpu());
  EXPECT_EQ(Device::parse("cuda"), Device::cuda(0));
  EXPECT_EQ(Device::parse("cuda:3"), Device::cuda(3));
  EXPECT_EQ(Device::cuda(3).str(), "cuda:3");
  for (const char* text : {"", "gpu", "cuda:", "cuda:-1", "cuda:1x", "CPU"}) EXPECT_THROW(Device::parse(text), RunError) << text;
}

TEST(Devices, BeginWithTheHost) {
  const auto devices = Device::all();
  ASSERT_FALSE(devices.empty());
  EXPECT_TRUE(devices[0].is_cpu());
  EXPECT_GT(devices[0].properties().memory, 0);
}

TEST(Devices, ThereAreGpusOrAReasonWhyNot) {
  EXPECT_EQ(Device::all().size() == 1, !Device::why_no_gpu().empty()) << Device::why_no_gpu();
  EXPECT_EQ(Device::why_no_gpu().find('\n'), std::string::npos);
  EXPECT_THROW(Device::cuda(1000).properties(), RunError);
}

}  // namespace
}  // namespace weft::device_test
