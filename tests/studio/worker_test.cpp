#include "apps/studio/worker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

namespace weft::apps::studio {
namespace {

TEST(StudioWorker, DoesWhatIsAskedBetweenPiecesOfWork) {
  int pieces = 0;
  bool works = false;
  Worker worker([&] { return works ? ++pieces, Worker::Duration::zero() : Worker::idle; }, [](const std::string&) {});
  worker.ask([&] { works = true; });
  while (worker.ask([&] { return pieces; }) < 3) {}
  worker.ask([&] { works = false; });
  const int then = worker.ask([&] { return pieces; });
  EXPECT_EQ(worker.ask([&] { return pieces; }), then);
}

TEST(StudioWorker, HandsExceptionsToWhoAskedAndFailuresOfWorkToItsOwner) {
  std::atomic<bool> fails = false;
  std::string told;
  Worker worker(
      [&] {
        if (fails.exchange(false)) throw std::runtime_error("no memory left on the GPU");
        return Worker::idle;
      },
      [&](const std::string& why) { told = why; });
  EXPECT_THROW(worker.ask([]() -> int { throw std::invalid_argument("no"); }), std::invalid_argument);
  worker.ask([&] { fails = true; });
  while (worker.ask([&] { return told.empty(); })) {}
  EXPECT_EQ(told, "no memory left on the GPU");
}

}  // namespace
}  // namespace weft::apps::studio
