// The Graph tab's side of the server.
#include "studio_testing.h"

#include "compile/backend.h"

namespace weft::apps::studio {
namespace {

using testing::post;

TEST(StudioGraph, ShowsFunctionSlopeKernelsAndWhatStitchingGains) {
  if (!has_backend(Backend::cpu)) GTEST_SKIP() << "without the cpu backend";
  const Studio studio({.server = {.port = 0}, .backend = Backend::cpu});
  const auto reply = post(studio.port(), "/api/graph/function", {{"expression", "0.5*x*(1+erf(x*0.7071))"}, {"from", -4}, {"to", 4}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json& f = reply.body;
  ASSERT_EQ(f["x"].size(), f["y"].size());
  ASSERT_EQ(f["x"].size(), f["slope"].size());
  EXPECT_EQ(f["x"][0], -4);
  EXPECT_NEAR(f["y"].back().get<double>(), 4, 1e-3);
  EXPECT_NEAR(f["slope"].back().get<double>(), 1, 1e-2);
  ASSERT_EQ(f["table"].size(), 2u);
  EXPECT_EQ(f["table"][0]["stitched"]["kernels"], 1);
  EXPECT_GT(f["table"][0]["unstitched"]["kernels"], 1);
  EXPECT_LT(f["table"][0]["stitched"]["bytes"], f["table"][0]["unstitched"]["bytes"]);
  ASSERT_FALSE(f["kernels"].empty());
  EXPECT_FALSE(f["kernels"][0]["code"].get<std::string>().empty());
  httplib::Client client("127.0.0.1", studio.port());
  EXPECT_NE(client.Get("/api/graph/function")->body.find("<svg"), std::string::npos);
  EXPECT_EQ(testing::everything(studio.port())["graph"]["function"]["expression"], "0.5*x*(1+erf(x*0.7071))");
}

TEST(StudioGraph, SaysWhereAnExpressionIsWrongAndKeepsTheLastOne) {
  const Studio studio({.server = {.port = 0}, .backend = Backend::reference});
  ASSERT_EQ(post(studio.port(), "/api/graph/function", {{"expression", "1/x"}}).body["y"][200], Json());
  const auto reply = post(studio.port(), "/api/graph/function", {{"expression", "x +* 2"}});
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body["at"], 3);
  EXPECT_EQ(testing::everything(studio.port())["graph"]["function"]["expression"], "1/x");
  EXPECT_EQ(post(studio.port(), "/api/graph/function", {{"expression", "x"}, {"from", 1}, {"to", 1}}).status, 400);
  EXPECT_EQ(post(studio.port(), "/api/graph/function", {{"expression", std::string(501, 'x')}}).status, 400);
}

TEST(StudioGraph, ExplainsTheGraphsThatItOffersAndNoFiles) {
  if (!has_backend(Backend::cpu)) GTEST_SKIP() << "without the cpu backend";
  const Studio studio({.server = {.port = 0}, .backend = Backend::cpu});
  httplib::Client client("127.0.0.1", studio.port());
  client.set_read_timeout(120);
  const auto page = client.Get("/api/graph/page?graph=gelu_f32_65536");
  ASSERT_EQ(page->status, 200) << page->body;
  EXPECT_NE(page->body.find("gelu_f32_65536"), std::string::npos);
  EXPECT_NE(page->get_header_value("Content-Security-Policy").find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(client.Get("/api/graph/page?graph=/etc/passwd")->status, 400);
  ASSERT_EQ(post(studio.port(), "/api/device", {{"device", "reference"}}).status, 200);
  EXPECT_EQ(client.Get("/api/graph/page?graph=gelu_f32_65536")->status, 400);
}

}  // namespace
}  // namespace weft::apps::studio
