// The `weft` command as its user meets it: what it prints, writes and returns.
#include "apps/digits_data.h"
#include "command_testing.h"
#include "compile/backend.h"

#include <nlohmann/json.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <thread>

namespace weft::apps::apps_command_test {
namespace {

using testing::expect_failure;
using testing::Folder;
using testing::Outcome;
using testing::text_of;
using testing::weft;

/// A little MNIST: 12 training and 4 test images.
void write_mnist(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  const Digits train = draw_digits(12, 1), test = draw_digits(4, 2);
  io::save_idx(folder / "train-images-idx3-ubyte.gz", train.images);
  io::save_idx(folder / "train-labels-idx1-ubyte", train.labels);
  io::save_idx(folder / "t10k-images-idx3-ubyte", test.images);
  io::save_idx(folder / "t10k-labels-idx1-ubyte.gz", test.labels);
}

TEST(WeftCommand, TellsItsVersionAndWhatItWasBuiltWith) {
  const Folder folder;
  EXPECT_TRUE(weft(folder, "--version").out.starts_with("weft 0."));
  EXPECT_NE(weft(folder, "info").out.find("reference"), std::string::npos);
  EXPECT_NE(weft(folder, "rules").out.find("x * 1 is x"), std::string::npos);
  EXPECT_NE(weft(folder, "train digits --help").out.find("--optimizer"), std::string::npos);
}

TEST(WeftCommand, TimesAWorkloadAgainstItsFloor) {
  if (!has_backend(Backend::cpu)) GTEST_SKIP() << "without the cpu backend";
  const Folder folder;
  const auto timed = weft(folder, "bench --filter gelu_f32_65536 --device cpu --json '" + (folder / "r.json").string() + "'");
  ASSERT_EQ(timed.status, 0) << timed.err;
  EXPECT_NE(timed.out.find("\ngelu_f32_65536 "), std::string::npos) << timed.out;
  const auto rows = nlohmann::ordered_json::parse(text_of(folder / "r.json"));
  ASSERT_EQ(rows.size(), 1u);
  std::vector<std::string> keys;
  for (const auto& [key, value] : rows[0].items()) keys.push_back(key);
  EXPECT_EQ(keys, (std::vector<std::string>{"name", "device", "us", "first_s", "floor_us", "bytes", "flops"}));
  EXPECT_EQ(rows[0].at("name"), "gelu_f32_65536");
  EXPECT_EQ(rows[0].at("device"), "cpu");
  for (const char* time : {"us", "first_s", "floor_us"}) EXPECT_GT(rows[0].at(time), 0) << time;
  EXPECT_GE(rows[0].at("bytes"), 2 * 65536 * 4);
  EXPECT_EQ(rows[0].at("flops"), 5 * 65536);
}

TEST(WeftCommand, ListsWorkloadsAndRefusesOnesThatItDoesNotHave) {
  const Folder folder;
  EXPECT_NE(weft(folder, "bench --list").out.find("softmax_f32_2048x2048\n"), std::string::npos);
  EXPECT_EQ(weft(folder, "bench --list --filter adam").out, "adam_10m_f32\n");
  expect_failure(weft(folder, "bench --filter gelu,nonsense"), 1, "no row's name begins with \"nonsense\"; there are digits_compile_cold, ");
  expect_failure(weft(folder, "bench --device tpu"), 2, "tpu");
  if (const auto why = why_not(Backend::cuda); !why.empty()) expect_failure(weft(folder, "bench --device cuda --filter gelu"), 1, why);
}

TEST(WeftCommand, TrainsNetworksThatDrawDigits) {
  if (!has_backend(Backend::cpu)) GTEST_SKIP() << "without the cpu backend";
  const Folder folder;
  write_mnist(folder / "mnist");
  const auto in = [&](const char* name) { return " '" + (folder / name).string() + "'"; };
  const auto trained = weft(folder, "train gan --data" + in("mnist") + " --steps 3 --batch 4 --sheet-every 2 --sheet" + in("s.png") + " --weights" +
                                        in("w") + " --plot" + in("p.png") + " --json" + in("j"));
  ASSERT_EQ(trained.status, 0) << trained.err;
  EXPECT_NE(trained.out.find("MNIST from "), std::string::npos) << trained.out;
  const auto record = nlohmann::json::parse(text_of(folder / "j"));
  EXPECT_EQ(record.at("steps"), 3);
  EXPECT_EQ(record.at("generator_losses").size(), 3u);
  EXPECT_EQ(io::load_png(folder / "s.png").shape()[2], 3);
  const auto drawn = weft(folder, "generate-digits --count 5 --weights" + in("w") + " --sheet" + in("d.png"));
  EXPECT_EQ(drawn.status, 0) << drawn.err;
  EXPECT_GT(io::load_png(folder / "d.png").shape()[1], 28);
  expect_failure(weft(folder, "generate-digits --weights" + in("j")), 1, "j");
}

TEST(WeftCommand, TrainsOnDrawnDigitsAndClassifiesAPicture) {
  const Folder folder;
  const auto trained = weft(folder, "train digits --steps 3 --batch 2 --test-images 3 --json '" + (folder / "r.json").string() + "' --weights '" +
                                        (folder / "w.safetensors").string() + "' --plot '" + (folder / "loss.png").string() + "' --sheet '" +
                                        (folder / "sheet.png").string() + "'");
  ASSERT_EQ(trained.status, 0) << trained.err;
  EXPECT_NE(trained.out.find("digits that weft draws itself"), std::string::npos) << trained.out;
  EXPECT_NE(trained.out.find("accuracy on 3 test images (drawn): "), std::string::npos) << trained.out;
  EXPECT_EQ(trained.out.find('\r'), std::string::npos) << "a bar is for terminals";

  const auto record = nlohmann::json::parse(text_of(folder / "r.json"));
  EXPECT_EQ(record.at("steps"), 3);
  EXPECT_EQ(record.at("losses").size(), 3u);
  EXPECT_EQ(record.at("data"), "drawn");
  EXPECT_EQ(record.at("interrupted"), false);
  EXPECT_GE(record.at("test_accuracy"), 0);
  EXPECT_GT(record.at("seconds"), 0);
  EXPECT_GT(record.at("steps_per_second"), 0);
  EXPECT_EQ(io::load_png(folder / "loss.png").rank(), 3);
  EXPECT_EQ(io::load_png(folder / "sheet.png").rank(), 3);

  io::save_png(folder / "digit.png", draw_digits(1, 9).images.reshape({28, 28}));
  const std::string classify = "classify '" + (folder / "digit.png").string() + "' --weights '" + (folder / "w.safetensors").string() + "'";
  const auto bars = weft(folder, classify);
  EXPECT_EQ(bars.status, 0) << bars.err;
  EXPECT_EQ(std::ranges::count(bars.out, '\n'), 10);
  EXPECT_EQ(std::ranges::count(bars.out, '>'), 1);
  const auto answer = nlohmann::json::parse(weft(folder, classify + " --json").out);
  EXPECT_EQ(answer.at("probabilities").size(), 10u);
  EXPECT_EQ(answer.at("probabilities")[answer.at("digit").get<std::size_t>()], *std::ranges::max_element(answer.at("probabilities")));
}

TEST(WeftCommand, TrainsTheSameFromTheSameSeed) {
  const Folder folder;
  write_mnist(folder / "mnist");
  const auto losses = [&](const std::string& seed) {
    const auto trained =
        weft(folder, "train digits --steps 2 --batch 2 --test-images 1 --seed " + seed + " --json '" + (folder / "r.json").string() + "'",
             "WEFT_DATA_DIR='" + (folder / "").string() + "'");
    EXPECT_EQ(trained.status, 0) << trained.err;
    EXPECT_NE(trained.out.find("12 training and 4 test images"), std::string::npos) << trained.out;
    return nlohmann::json::parse(text_of(folder / "r.json")).at("losses");
  };
  EXPECT_EQ(losses("3"), losses("3"));
  EXPECT_NE(losses("3"), losses("4"));
}

TEST(WeftCommand, RefusesAWrongCommandLine) {
  const Folder folder;
  expect_failure(weft(folder, ""), 2, "subcommand");
  expect_failure(weft(folder, "trian"), 2, "trian");
  expect_failure(weft(folder, "train digits --steps 0"), 2, "--steps");
  expect_failure(weft(folder, "train digits --lr -1"), 2, "--lr");
  expect_failure(weft(folder, "train digits --lr nan"), 2, "--lr");
  expect_failure(weft(folder, "train digits --optimizer newton"), 2, "--optimizer");
  expect_failure(weft(folder, "classify picture.png"), 2, "--weights");
}

TEST(WeftCommand, SaysWhatIsWrongWithDataBeforeItTrains) {
  const Folder folder;
  const std::string mnist = (folder / "mnist").string();
  const std::string train = "train digits --steps 1 --batch 1 --data '" + mnist + "'";
  expect_failure(weft(folder, train), 1, "there is neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz");
  write_mnist(mnist);
  io::save_idx(folder / "mnist/train-labels-idx1-ubyte", NDArray(u8, {11}));
  expect_failure(weft(folder, train), 1, "there are 12 train images but 11 labels");
  write_mnist(mnist);
  std::filesystem::resize_file(folder / "mnist/t10k-images-idx3-ubyte", 1000);
  expect_failure(weft(folder, train), 1, "t10k-images-idx3-ubyte");
  write_mnist(mnist);
  expect_failure(weft(folder, train + " --weights /no/such/folder/w.safetensors"), 1, "there is no folder \"/no/such/folder\"");
}

TEST(WeftCommand, SaysWhatIsWrongWithWeightsAndPictures) {
  const Folder folder;
  const std::string weights = (folder / "w.safetensors").string(), picture = (folder / "digit.png").string();
  const std::string classify = "classify '" + picture + "' --weights '" + weights + "'";
  expect_failure(weft(folder, classify), 1, weights);
  folder.with("w.safetensors", "no weights");
  expect_failure(weft(folder, classify), 1, weights);
  ASSERT_EQ(weft(folder, "train digits --steps 1 --batch 1 --test-images 1 --weights '" + weights + "'").status, 0);
  expect_failure(weft(folder, classify), 1, picture);
  folder.with("digit.png", "no picture");
  expect_failure(weft(folder, classify), 1, picture);
  io::save_png(picture, NDArray(u8, {5, 5}));
  expect_failure(weft(folder, classify), 1, "nothing is drawn on it");
}

TEST(WeftCommand, SavesWhatItHasWhenInterrupted) {
  const Folder folder;
  write_mnist(folder / "mnist");
  const std::string train =
      "train digits --steps 1000000 --batch 1 --data '" + (folder / "mnist").string() + "' --json '" + (folder / "r.json").string() + "'";
  const std::string line = "'" WEFT_COMMAND "' " + train + " >'" + (folder / "out").string() + "' 2>&1 & pid=$!; until grep -q '1000000 steps' '" +
                           (folder / "out").string() + "'; do sleep 0.05; done; sleep 1; kill -INT $pid; wait $pid";
  // A shell has its background programs ignore interrupts, unless it is told to control jobs.
  const int status = std::system(("bash -c '" +
                                  [&] {
                                    std::string quoted;
                                    for (const char c : "set -m; " + line) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
                                    return quoted;
                                  }() +
                                  "'")
                                     .c_str());
  EXPECT_EQ(WEXITSTATUS(status), 0) << text_of(folder / "out");
  EXPECT_NE(text_of(folder / "out").find("stopped after step "), std::string::npos) << text_of(folder / "out");
  const auto record = nlohmann::json::parse(text_of(folder / "r.json"));
  EXPECT_EQ(record.at("interrupted"), true);
  EXPECT_EQ(record.at("steps").get<std::size_t>(), record.at("losses").size());
}

/// Serves the files of a folder over HTTP on the loopback interface, one request a connection.
class Server {
 public:
  explicit Server(std::filesystem::path folder) : folder_(std::move(folder)), socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(socket_, 8) != 0)
      throw std::runtime_error("no loopback server");
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/";
    thread_ = std::thread([this] { serve(); });
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() {
    ::shutdown(socket_, SHUT_RDWR);
    thread_.join();
    ::close(socket_);
  }
  const std::string& url() const { return url_; }
  int requests() const { return requests_; }

 private:
  void serve() {
    for (int client; (client = ::accept(socket_, nullptr, nullptr)) >= 0; ::close(client)) {
      std::string request;
      char buffer[1024];
      for (ssize_t n; request.find("\r\n\r\n") == std::string::npos && (n = ::read(client, buffer, sizeof buffer)) > 0;)
        request.append(buffer, static_cast<std::size_t>(n));
      ++requests_;
      const auto begin = request.find('/') + 1;
      const auto path = folder_ / request.substr(begin, request.find(' ', begin) - begin);
      const bool found = std::filesystem::is_regular_file(path);
      const std::string content = found ? text_of(path) : "";
      const std::string answer = (found ? "HTTP/1.1 200 OK" : "HTTP/1.1 404 Not Found") + std::string("\r\nConnection: close\r\nContent-Length: ") +
                                 std::to_string(content.size()) + "\r\n\r\n" + content;
      for (std::size_t sent = 0; sent < answer.size();) {
        const ssize_t n = ::send(client, answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) break;
        sent += static_cast<std::size_t>(n);
      }
    }
  }

  std::filesystem::path folder_;
  int socket_;
  std::atomic<int> requests_ = 0;
  std::string url_;
  std::thread thread_;
};

TEST(WeftCommand, RefusesDownloadsWithTheWrongContent) {
  const Folder folder;
  write_mnist(folder / "served");
  const Server server(folder / "served");
  const std::string to = (folder / "to").string();
  expect_failure(weft(folder, "data mnist --to '" + to + "' --mirror " + server.url()), 1,
                 "no mirror has train-images-idx3-ubyte.gz: " + server.url() + "train-images-idx3-ubyte.gz: the content is not what it should be");
  expect_failure(weft(folder, "data mnist --to '" + to + "' --mirror " + server.url() + "absent"), 1, "404");
  EXPECT_TRUE(std::filesystem::is_empty(to)) << "nothing may be left of a download that failed";
}

TEST(WeftCommand, DownloadsShakespearesTextOnlyWithTheRightContent) {
  const Folder folder;
  std::filesystem::create_directories(folder / "served");
  std::ofstream(folder / "served" / "input.txt") << "To be, or not to be\n";
  const Server server(folder / "served");
  const std::string to = (folder / "to").string();
  expect_failure(weft(folder, "data shakespeare --to '" + to + "' --mirror " + server.url()), 1,
                 "no mirror has input.txt: " + server.url() + "input.txt: the content is not what it should be");
  EXPECT_TRUE(std::filesystem::is_empty(to));

  const char* data = std::getenv("WEFT_DATA_DIR");
  const auto real = std::filesystem::path(data ? data : "") / "shakespeare";
  if (!data || !std::filesystem::exists(real / "input.txt")) GTEST_SKIP() << "WEFT_DATA_DIR names no folder with shakespeare/input.txt";
  const Server honest(real);
  const auto got = weft(folder, "data shakespeare --to '" + to + "' --mirror " + honest.url());
  EXPECT_EQ(got.status, 0) << got.err;
  EXPECT_EQ(text_of(to + "/input.txt"), text_of(real / "input.txt"));
}

/// MNIST itself, where WEFT_DATA_DIR says that it is.
class RealMnist : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* data = std::getenv("WEFT_DATA_DIR");
    const auto found = data && *data ? find_mnist() : std::nullopt;
    if (!found) GTEST_SKIP() << "WEFT_DATA_DIR names no folder with MNIST";
    mnist_ = *found;
  }
  std::filesystem::path mnist_;
};

TEST_F(RealMnist, IsDownloadedFromTheFirstMirrorThatHasIt) {
  const Folder folder;
  if (!std::filesystem::exists(mnist_ / "train-images-idx3-ubyte.gz")) GTEST_SKIP() << "the files are not compressed";
  const Server server(mnist_);
  const std::string to = (folder / "to").string();
  const auto download = [&] { return weft(folder, "data mnist --to '" + to + "' --mirror " + server.url() + "absent --mirror " + server.url()); };
  const auto first = download();
  EXPECT_EQ(first.status, 0) << first.err;
  EXPECT_NE(first.out.find("60000 training and 10000 test images"), std::string::npos) << first.out;
  EXPECT_EQ(server.requests(), 8);
  EXPECT_EQ(download().status, 0);
  EXPECT_EQ(server.requests(), 8) << "what is there is not fetched again";
}

TEST_F(RealMnist, IsLearntInSixtySteps) {
  const Folder folder;
  const auto trained = weft(folder, "train digits --steps 60 --data '" + mnist_.string() + "' --json '" + (folder / "r.json").string() + "'");
  ASSERT_EQ(trained.status, 0) << trained.err;
  const auto record = nlohmann::json::parse(text_of(folder / "r.json"));
  EXPECT_EQ(record.at("test_images"), 10000);
  // 90 to 93 % for the first seeds.
  EXPECT_GT(record.at("test_accuracy").get<double>(), 0.88);
}

}  // namespace
}  // namespace weft::apps::apps_command_test
