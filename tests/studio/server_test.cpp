// The server as programs and pages meet it.
#include "studio_testing.h"

#include <weft/error.h>

namespace weft::apps::studio {
namespace {

using testing::event_until;
using testing::everything;
using testing::post;

/// A server over a board, with an answer to each kind of request.
struct Served {
  Board board;
  std::unique_ptr<Server> server;

  Served() {
    Routes routes;
    routes.posts["/api/echo"] = [](const Call& call) { return answer({{"n", whole_number(call, "n", 0, 10, 3)}}); };
    routes.posts["/api/bytes"] = [](const Call& call) { return answer({{"size", call.body.size()}}); };
    routes.posts["/api/fails"] = [](const Call&) -> Answer { throw RunError("out of memory"); };
    routes.gets["/api/half"] = [](const Call& call) { return answer({{"half", number(call, "of", 0, 100, 0) / 2}}); };
    server = std::make_unique<Server>(Server::Options{.port = 0}, std::move(routes), board);
  }
  int port() const { return server->port(); }
  httplib::Client client() const { return httplib::Client("127.0.0.1", port()); }
};

TEST(StudioServer, ServesThePageAndAllThatItLoadsItself) {
  const Served s;
  const auto page = s.client().Get("/");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->status, 200);
  EXPECT_EQ(page->get_header_value("Content-Type"), "text/html; charset=utf-8");
  EXPECT_NE(page->get_header_value("Content-Security-Policy").find("default-src 'self'"), std::string::npos);
  EXPECT_EQ(page->body.find("http:"), std::string::npos);
  EXPECT_EQ(page->body.find("https:"), std::string::npos);
  int files = 0;
  for (std::size_t at = 0; (at = page->body.find("\"/page/", at)) != std::string::npos; ++at, ++files) {
    const std::string path = page->body.substr(at + 1, page->body.find('"', at + 1) - at - 1);
    const auto file = s.client().Get(path);
    ASSERT_TRUE(file) << path;
    EXPECT_EQ(file->status, 200) << path;
    EXPECT_FALSE(file->body.empty()) << path;
  }
  EXPECT_GE(files, 5);
}

TEST(StudioServer, RefusesForeignPages) {
  const Served s;
  EXPECT_EQ(post(s.port(), "/api/echo", {{"n", 1}}).status, 200);
  const auto refused = post(s.port(), "/api/echo", {{"n", 1}}, {{"Origin", "http://evil.example"}});
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.body["error"].get<std::string>().find("evil.example"), std::string::npos);
  EXPECT_EQ(post(s.port(), "/api/echo", {{"n", 1}}, {{"Host", "rebound.example:8080"}}).status, 403);
  auto client = s.client();
  for (const char* path : {"/", "/events", "/page/main.js", "/api/half"})
    EXPECT_EQ(client.Get(path, httplib::Headers{{"Host", "rebound.example"}})->status, 403) << path;
  EXPECT_FALSE(client.Get("/")->has_header("Access-Control-Allow-Origin"));
}

TEST(StudioServer, RefusesBodiesThatAreTooLongOrOfUnknownLength) {
  const Served s;
  auto client = s.client();
  const std::string largest(Server::largest_body, 'x');
  EXPECT_EQ(client.Post("/api/bytes", largest, "application/octet-stream")->status, 200);
  EXPECT_EQ(client.Post("/api/bytes", largest + "x", "application/octet-stream")->status, 413);
  const auto chunked = client.Post(
      "/api/bytes",
      [](std::size_t, httplib::DataSink& sink) {
        sink.done();
        return true;
      },
      "application/octet-stream");
  ASSERT_TRUE(chunked);
  EXPECT_EQ(chunked->status, 411);
}

TEST(StudioServer, SaysWhatIsWrongWithARequest) {
  const Served s;
  auto client = s.client();
  const auto expect = [](const httplib::Result& result, int status, const std::string& message) {
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, status);
    EXPECT_EQ(Json::parse(result->body)["error"], message);
  };
  expect(client.Get("/nowhere"), 404, "there is no \"/nowhere\"");
  expect(client.Get("/page/nothing.js"), 404, "there is no \"/page/nothing.js\"");
  expect(client.Post("/api/nowhere", "{}", "application/json"), 404, "there is no \"/api/nowhere\"");
  expect(client.Post("/api/echo", "{", "application/json"), 400, "the body is not JSON");
  expect(client.Post("/api/echo", "[1]", "application/json"), 400, "the body must be a JSON object");
  expect(client.Post("/api/echo", "n=1", "application/x-www-form-urlencoded"), 400, "the body must be JSON (application/json)");
  expect(client.Post("/api/echo", R"({"n": "many"})", "application/json"), 400, "n must be a number from 0.0 to 10.0");
  expect(client.Post("/api/echo", R"({"n": 1.5})", "application/json"), 400, "n must be a whole number");
  expect(client.Post("/api/echo", R"({"n": 11})", "application/json"), 400, "n must be a number from 0.0 to 10.0");
  expect(client.Post("/api/fails", "{}", "application/json"), 422, "out of memory");
  expect(client.Get("/api/half?of=nan"), 400, "of must be a number from 0.0 to 100.0");
  EXPECT_EQ(client.Get("/api/half?of=7")->body, "{\"half\":3.5}");
}

TEST(StudioServer, NeverTakesWhatIsLeftOfARequestForAnother) {
  const Served s;
  auto client = s.client();
  client.set_keep_alive(true);
  const auto refused =
      client.Post("/api/echo", {{"Origin", "http://evil.example"}}, "POST /api/echo HTTP/1.1\r\nHost: localhost\r\n\r\n", "text/plain");
  EXPECT_EQ(refused->status, 403);
  EXPECT_EQ(refused->get_header_value("Connection"), "close");
}

TEST(StudioServer, TellsPagesTheNewsAndThoseThatComeLateEverything) {
  Served s;
  s.board.set("digits", {{"steps", 1}});
  std::thread page([&] {
    const Json seen = event_until(s.port(), [](const Json& e) { return e.contains("set") && e["set"]["steps"] == 5; });
    EXPECT_EQ(seen["topic"], "digits");
  });
  std::atomic<bool> done = false;
  std::thread works([&] {
    while (!done) {
      s.board.set("digits", {{"steps", 5}});
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  page.join();
  done = true;
  works.join();
  EXPECT_EQ(everything(s.port())["digits"]["steps"], 5);
}

TEST(StudioServer, HasRoomForMorePagesSoonAfterOthersHaveLeft) {
  const Served s;
  for (int page = 0; page < 120; ++page) {
    ASSERT_TRUE(everything(s.port()).is_object()) << page;
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
  }
}

TEST(StudioServer, SaysThatAnotherProgramHasThePort) {
  const Served s;
  Board board;
  try {
    Server second({.port = s.port()}, {}, board);
    FAIL() << "the port was free";
  } catch (const RunError& e) { EXPECT_NE(std::string(e.what()).find("--port"), std::string::npos) << e.what(); }
}

}  // namespace
}  // namespace weft::apps::studio
