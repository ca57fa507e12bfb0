#include <weft/weft.h>

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "evaluated.h"

namespace weft::queue_test {
namespace {

using namespace std::chrono_literals;
using Status = CommandBuffer::Status;

/// A line fitted to points by gradient descent: a variable that every run changes.
struct Fit {
  Graph g;
  Tensor x = g.placeholder({16}, f32, "x"), y = g.placeholder({16}, f32, "y");
  Tensor w = g.variable(init::constant({}, 0)), loss = mean(square(w * x - y));
  std::vector<Operation> updates = sgd(g.variables(), g.gradients(loss, g.variables()), 0.05f);

  Feeds feeds(int step) const {
    NDArray a(f32, {16}), b(f32, {16});
    for (int i = 0; i < 16; ++i) {
      const auto v = static_cast<float>((7 * i + step) % 16) / 8 - 1;
      a.elements<float>()[static_cast<std::size_t>(i)] = v, b.elements<float>()[static_cast<std::size_t>(i)] = 3 * v;
    }
    return {{x, a}, {y, b}};
  }
};

/// Fed with x, then y.
Executable compile_step(Fit& fit) {
  return fit.g.compile(std::vector<FeedType>{{fit.x, fit.x.type()}, {fit.y, fit.y.type()}}, std::vector{fit.loss}, fit.updates);
}

TEST(Queues, TrainWithTwoStepsInFlight) {
  constexpr int steps = 60;
  Fit waiting;
  std::vector<double> expected;
  for (int i = 0; i < steps; ++i) expected.push_back(waiting.g.run(waiting.feeds(i), {waiting.loss}, waiting.updates)[0].item());

  Fit fit;
  Queue queue;
  std::counting_semaphore<2> slots(2);
  std::vector<double> losses;  // by the handlers, which come one after the other
  for (int i = 0; i < steps; ++i) {
    slots.acquire();
    run_async(queue, fit.g, fit.feeds(i), {fit.loss}, fit.updates, {.completed = [&](const RunResult& r, std::exception_ptr error) {
                EXPECT_FALSE(error);
                losses.push_back(r[fit.loss].item());
                slots.release();
              }});
  }
  queue.wait();
  EXPECT_EQ(losses, expected);
  EXPECT_EQ(fit.g.value(fit.w).item(), waiting.g.value(waiting.w).item());
  EXPECT_NEAR(fit.g.value(fit.w).item(), 3, 0.5);
}

TEST(Queues, DoWhatIsCommittedInOrderAndCallHandlersInOrder) {
  Fit fit;
  Queue queue;
  std::vector<int> scheduled, completed;  // by the handlers, which come one after the other
  for (int i = 0; i < 4; ++i) {
    CommandBuffer buffer(queue);
    buffer.encode(fit.g, fit.feeds(i), std::vector{fit.loss}, fit.updates);
    buffer.on_scheduled([&, i] { scheduled.push_back(i); });
    buffer.on_completed([&, i](const CommandBuffer& done) {
      EXPECT_EQ(done.status(), Status::completed);
      EXPECT_GT(scheduled.size(), completed.size());
      completed.push_back(i);
    });
    EXPECT_EQ(buffer.status(), Status::encoding);
    buffer.commit();
  }
  queue.wait();
  EXPECT_EQ(scheduled, (std::vector{0, 1, 2, 3}));
  EXPECT_EQ(completed, (std::vector{0, 1, 2, 3}));
}

TEST(Queues, SeveralGraphsAreOneBuffer) {
  Graph first, second;
  const Tensor x = first.placeholder({4}, f32), y = x * 2.0f, u = second.placeholder({4}, f32), v = u + 1.0f;
  Queue queue;
  CommandBuffer buffer(queue);
  const RunResult doubled = buffer.encode(first, {{x, NDArray::of<float>({4}, {1, 2, 3, 4})}}, std::vector{y});
  const RunResult plus = buffer.encode(second, {{u, doubled[y]}}, std::vector{v});
  buffer.commit();
  buffer.wait();
  EXPECT_EQ(plus[v].str(), "f32[4] [3, 5, 7, 9]");
}

TEST(Queues, WaitForEventsOfOthers) {
  Graph g;
  const Tensor x = g.placeholder({}, f32), y = x + 1.0f;
  Event from_host, between;
  NDArray shared(f32, {});
  Queue a, b;
  // What b reads is written by a, which the host holds up.
  CommandBuffer reading(b);
  reading.wait_for({between, 3});
  const RunResult last = reading.encode(g, {{x, shared}}, std::vector{y});
  reading.commit();
  CommandBuffer writing(a);
  writing.wait_for({from_host, 1});
  const Executable e = g.compile({{x, {f32, {}}}}, {y});
  writing.encode(e, std::vector<TensorData>{NDArray::scalar(4.0f)}, std::vector<TensorData>{shared});
  writing.signal({between, 3});
  writing.commit();
  EXPECT_FALSE(between.wait_for(3, 20ms));
  EXPECT_NE(reading.status(), Status::completed);
  from_host.signal();
  reading.wait();
  EXPECT_EQ(last[0].item(), 6);
  EXPECT_EQ(between.value(), 3u);
  between.signal(2);
  EXPECT_EQ(between.value(), 3u) << "events only grow";
}

TEST(Queues, GoOnAfterARunThatFails) {
  Graph g;
  const Tensor index = g.placeholder({1}, i32), w = g.variable(init::constant({4}, 1), "w"), row = gather(w, index);
  const Operation update = g.assign(w, w + sum(row));
  Queue queue;
  Event after;
  CommandBuffer failing(queue);
  failing.encode(g, {{index, NDArray::of<std::int32_t>({1}, {9})}}, std::vector{row}, std::vector{update});
  const RunResult left_out = failing.encode(g, {{index, NDArray::of<std::int32_t>({1}, {0})}}, std::vector{row}, std::vector{update});
  failing.signal({after, 1});
  std::string message;
  failing.on_completed([&](const CommandBuffer& done) {
    EXPECT_EQ(done.status(), Status::failed);
    try {
      done.rethrow();
    } catch (const RunError& e) { message = e.what(); }
  });
  failing.commit();
  after.wait();
  EXPECT_THROW(failing.wait(), RunError);
  EXPECT_EQ(message, "gather: index 9 is out of range for axis 0 of size 4");
  EXPECT_EQ(g.value(w).str(), "f32[4] [1, 1, 1, 1]");
  const RunResult next =
      run_async(queue, g, {{index, NDArray::of<std::int32_t>({1}, {2})}}, {row}, std::vector{update}, {.wait_until_completed = true});
  EXPECT_EQ(next[0].item(), 1);
  EXPECT_EQ(g.value(w).str(), "f32[4] [2, 2, 2, 2]");
}

TEST(Queues, HandlersMayCallAnything) {
  Fit fit;
  Queue queue;
  Event done;
  std::atomic<int> inner = 0;
  run_async(queue, fit.g, fit.feeds(0), {fit.loss}, fit.updates, {.completed = [&](const RunResult&, std::exception_ptr) {
              fit.g.run(fit.feeds(1), {fit.loss}, fit.updates);
              for (int i = 0; i < 3; ++i)
                run_async(queue, fit.g, fit.feeds(2), {fit.loss}, {}, {.completed = [&](const RunResult&, std::exception_ptr) { ++inner; }});
              queue.wait();
              run_async(queue, fit.g, fit.feeds(2), {fit.loss}, {}, {.wait_until_completed = true});
              done.signal();
            }});
  done.wait();
  queue.wait();
  EXPECT_EQ(inner, 3);
}

TEST(Queues, PassOnWhatHandlersThrow) {
  Fit fit;
  Queue queue;
  run_async(queue, fit.g, fit.feeds(0), {fit.loss}, {},
            {.completed = [](const RunResult&, std::exception_ptr) { throw std::runtime_error("handler"); }});
  EXPECT_THROW(queue.wait(), std::runtime_error);
  queue.wait();
}

TEST(Queues, EndWhenTheirWorkIsDone) {
  Fit fit;
  std::atomic<int> handled = 0;
  CommandBuffer last = [&] {
    Queue queue;
    for (int i = 0; i < 5; ++i)
      run_async(queue, fit.g, fit.feeds(i), {fit.loss}, fit.updates, {.completed = [&](const RunResult&, std::exception_ptr) { ++handled; }});
    CommandBuffer buffer(queue);
    buffer.encode(fit.g, fit.feeds(0), std::vector{fit.loss});
    buffer.commit();
    return buffer;
  }();
  EXPECT_EQ(handled, 5);
  last.wait();
  EXPECT_EQ(last.status(), Status::completed);
}

TEST(Queues, RefuseWhatDoesNotFit) {
  Graph g;
  const Tensor x = g.placeholder({4}, f32, "x"), y = x * 2.0f;
  const Executable e = g.compile({{x, {f32, {4}}}}, {y});
  Queue queue;
  CommandBuffer buffer(queue);
  expect_error<RunError>([&] { buffer.encode(e, std::vector<TensorData>{NDArray(f32, {5})}); }, "was compiled for f32[4], is fed with f32[5]");
  expect_error<RunError>([&] { buffer.encode(e, std::vector<TensorData>{}); }, "the executable takes 1 feeds, got 0");
  expect_error<RunError>([&] { buffer.wait(); }, "the command buffer is not committed");
  buffer.commit();
  expect_error<RunError>([&] { buffer.commit(); }, "the command buffer is committed: it takes no more");
  expect_error<RunError>([&] { buffer.signal({Event(), 1}); }, "the command buffer is committed");
  buffer.wait();
}

TEST(Queues, RunBesideEachOther) {
  Fit fit;
  const Executable e = fit.g.compile(std::vector<FeedType>{{fit.x, {f32, {16}}}, {fit.y, {f32, {16}}}}, std::vector{fit.loss}, {});
  Queue queues[3];
  const Feeds feeds = fit.feeds(0);
  std::vector<TensorData> ordered;
  for (const auto& f : e.feeds()) ordered.push_back(feeds.at(f.placeholder));
  const double expected = e.run(ordered)[0].item();
  std::atomic<int> right = 0;
  for (int i = 0; i < 30; ++i)
    run_async(queues[i % 3], e, ordered, {.completed = [&](const RunResult& r, std::exception_ptr) { right += r[0].item() == expected; }});
  for (auto& q : queues) q.wait();
  EXPECT_EQ(right, 30);
}

TEST(Queues, ReadWhatRunsBeforeWriteWhereverItLies) {
  Graph g;
  const Tensor x = g.placeholder({1000}, f32), y = x + 1.0f;
  for (const Device device : {Device::cpu(), Device::all().back()}) {
    Queue queue, other;
    std::vector<NDArray> chain{NDArray(f32, {1000}, device)};
    Event done;
    const Executable e = g.compile({{x, x.type()}}, {y});
    for (std::size_t i = 0; i < 40; ++i) {
      // Of three runs, two follow each other in one buffer; every tenth buffer is another queue's.
      CommandBuffer buffer(i % 10 == 9 ? other : queue);
      buffer.wait_for({done, i});
      for (int k = 0; k < 2; ++k) {
        const std::vector<TensorData> feeds{chain.back()}, results{chain.emplace_back(NDArray(f32, {1000}, device))};
        buffer.encode(e, feeds, results);
      }
      buffer.signal({done, i + 1});
      buffer.commit();
    }
    done.wait(40);
    queue.wait();
    other.wait();
    EXPECT_EQ(chain.back().slice(0, 999, 1000).item(), 80) << device.str();
  }
}

TEST(Queues, TakeAndGiveLargeArraysWithSeveralRunsInFlight) {
  constexpr std::int64_t n = 3'000'001;  // pieces of a copy, and a part of one
  Graph g;
  const Tensor x = g.placeholder({n}, f32), y = x * 2.0f + 1.0f;
  const Executable e = g.compile({{x, x.type()}}, {y});
  Queue queue;
  NDArray feed(f32, {n});
  std::vector<NDArray> results;
  for (int i = 0; i < 7; ++i) {
    auto elements = feed.elements<float>();
    for (std::size_t k = 0; k < elements.size(); ++k) elements[k] = static_cast<float>((k + static_cast<std::size_t>(i)) % 1000);
    CommandBuffer buffer(queue);
    results.push_back(buffer.encode(e, std::vector<TensorData>{feed.copy()})[0]);
    buffer.commit();
  }
  queue.wait();
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto elements = results[i].elements<float>();
    std::size_t wrong = 0;
    for (std::size_t k = 0; k < elements.size(); ++k) wrong += elements[k] != static_cast<float>((k + i) % 1000) * 2 + 1;
    EXPECT_EQ(wrong, 0u) << i;
  }
}

TEST(Queues, TakeSeveralStepsOfARunAtOnce) {
  Graph g, one_by_one;
  const auto count = [](Graph& g) {
    const Tensor n = g.variable(init::zeros({}), "n"), noise = random_uniform(g, {3});
    return std::pair{n, g.assign(n, n + sum(noise))};
  };
  const auto [n, update] = count(g);
  const auto [m, update_m] = count(one_by_one);
  Queue queue;
  run_async(queue, g, {}, {n}, std::vector{update}, {.steps_per_launch = 5});
  CommandBuffer buffer(queue);
  const Executable e = g.compile(std::vector<FeedType>{}, std::vector{n}, std::vector{update});
  const RunResult last = buffer.encode(e, {}, 3);
  expect_error<RunError>([&] { buffer.encode(e, {}, 0); }, "steps_per_launch is 0, expects 1 or more");
  buffer.commit();
  queue.wait();
  RunResult expected;
  for (int i = 0; i < 8; ++i) expected = one_by_one.run({}, {m}, std::vector{update_m});
  EXPECT_EQ(last[0].item(), expected[0].item());
  EXPECT_EQ(g.value(n).item(), one_by_one.value(m).item());
}

TEST(Queues, SayWhyRunsAreBegunOneByOne) {
  Graph g;
  const Tensor x = g.placeholder({4}, f32), y = x * 2.0f;
  const Executable e = g.compile({{x, x.type()}}, {y}, {}, {.backend = Backend::reference});
  Queue queue;
  Event ready;
  CommandBuffer buffer(queue);
  const RunResult first = buffer.encode(e, std::vector<TensorData>{NDArray(f32, {4})});
  buffer.encode(e, std::vector<TensorData>{first[0]});
  buffer.wait_for({ready});
  buffer.encode(e, std::vector<TensorData>{first[0]});
  buffer.signal({Event()});
  buffer.encode(e, std::vector<TensorData>{first[0]});
  buffer.commit();
  ready.signal();
  buffer.wait();
  const auto launches = buffer.launches();
  EXPECT_EQ(launches.runs, 4);
  EXPECT_EQ(launches.launches, 4);
  EXPECT_EQ(launches.graphs, 0);
  EXPECT_EQ(launches.apart,
            (std::vector<std::string>{"run 1: it runs on the host", "run 2: it waits for an event", "run 3: an event is signalled before it"}));
}

/// Two networks' steps, of which the second is fed with what the first gives, and a third graph that both feed.
struct Chain {
  Fit fit;
  Graph second, third;
  Tensor u = second.placeholder({}, f32, "u"), v = second.variable(init::zeros({64}), "v"), moved = v + u;
  Operation move = second.assign(v, moved);
  Tensor a = third.placeholder({64}, f32, "a"), b = third.placeholder({}, f32, "b"), result = sum(a * b);
  Executable first = compile_step(fit), next = second.compile(std::vector<FeedType>{{u, u.type()}}, std::vector{moved}, std::vector{move}),
             last = third.compile({{a, a.type()}, {b, b.type()}}, {result});

  /// Runs of all three, the arrays between them on `device`.
  std::vector<RunResult> encode(CommandBuffer& buffer, int step, Device device) const {
    const Feeds feeds = fit.feeds(step);
    std::vector<RunResult> results;
    const auto run = [&](const Executable& e, const std::vector<TensorData>& fed, int steps = 1) {
      std::vector<NDArray> arrays;
      std::vector<TensorData> storage;
      for (const auto& type : e.output_types()) storage.emplace_back(arrays.emplace_back(type, device));
      buffer.encode(e, fed, storage, steps);
      return results.emplace_back(std::vector(e.targets().begin(), e.targets().end()), arrays)[0];
    };
    const NDArray loss = run(first, {feeds.at(fit.x), feeds.at(fit.y)});
    const NDArray sum = run(next, {loss}, 2);
    run(last, {sum, loss});
    run(first, {feeds.at(fit.x), feeds.at(fit.y)});
    return results;
  }
};

TEST(Queues, BeginRunsOfOneBufferTogether) {
  for (const Device device : {Device::cpu(), Device::all().back()}) {
    Chain together, apart;
    Queue queue, slow;
    std::vector<std::vector<RunResult>> got, expected;
    std::vector<CommandBuffer> buffers;
    for (int i = 0; i < 12; ++i) {
      got.push_back(together.encode(buffers.emplace_back(queue), i, device));
      buffers.back().commit();
      if (i < 6) queue.wait();  // then several at a time
    }
    queue.wait();
    for (auto& b : buffers) b.rethrow();
    for (int i = 0; i < 12; ++i) {
      CommandBuffer buffer(slow);
      expected.push_back(apart.encode(buffer, i, Device::cpu()));
      buffer.commit();
      buffer.wait();
    }
    for (std::size_t i = 0; i < got.size(); ++i)
      for (std::size_t k = 0; k < got[i].size(); ++k)
        EXPECT_EQ(got[i][k][0].to(Device::cpu()).str(), expected[i][k][0].str()) << device.str() << " buffer " << i << " run " << k;
    EXPECT_EQ(together.second.value(together.v).str(), apart.second.value(apart.v).str());
    EXPECT_EQ(together.fit.g.value(together.fit.w).item(), apart.fit.g.value(apart.fit.w).item());
    const auto launches = buffers[5].launches();
    EXPECT_EQ(launches.runs, 4);
    if (Device::all().size() > 1) {
      EXPECT_EQ(launches.launches, 1);
      EXPECT_TRUE(launches.apart.empty());
      EXPECT_EQ(buffers[0].launches().graphs, 0) << "the first time";
      if (device.is_cpu()) { EXPECT_EQ(launches.graphs, 1); }
    }
  }
}

TEST(Queues, BeginRunsThatMayFailByThemselves) {
  if (Device::all().size() == 1) GTEST_SKIP() << Device::why_no_gpu();
  Graph g;
  const Tensor index = g.placeholder({1}, i32), table = g.placeholder({4}, f32), row = gather(table, index), twice = table * 2.0f;
  const Executable picks = g.compile({{index, index.type()}, {table, table.type()}}, {row}), doubles = g.compile({{table, table.type()}}, {twice});
  Queue queue;
  CommandBuffer buffer(queue);
  const NDArray values = NDArray::of<float>({4}, {1, 2, 3, 4});
  const RunResult doubled = buffer.encode(doubles, std::vector<TensorData>{values});
  const RunResult picked = buffer.encode(picks, std::vector<TensorData>{NDArray::of<std::int32_t>({1}, {2}), doubled[0]});
  const RunResult again = buffer.encode(doubles, std::vector<TensorData>{doubled[0]});
  const RunResult part = buffer.encode(doubles, std::vector<TensorData>{again[0]});
  buffer.commit();
  buffer.wait();
  EXPECT_EQ(picked[0].item(), 6);
  EXPECT_EQ(part[0].str(), "f32[4] [8, 16, 24, 32]");
  const std::string why = "it checks indices, and may fail on the way";
  EXPECT_EQ(buffer.launches().apart, (std::vector{"run 1: " + why, "run 2: the run before is begun by itself: " + why}));
  EXPECT_EQ(buffer.launches().launches, 3);
}

TEST(Queues, SignalWhenWhatCameBeforeIsDone) {
  Fit fit;
  Queue queue;
  const Executable e = compile_step(fit);
  std::vector<NDArray> losses;
  std::vector<Event> events(30);
  for (int i = 0; i < 30; ++i) {
    CommandBuffer buffer(queue);
    const Feeds feeds = fit.feeds(i);
    losses.push_back(buffer.encode(e, std::vector<TensorData>{feeds.at(fit.x), feeds.at(fit.y)})[0]);
    buffer.signal({events[static_cast<std::size_t>(i)]});
    buffer.commit();
  }
  Fit waiting;
  for (int i = 0; i < 30; ++i) {
    events[static_cast<std::size_t>(i)].wait();
    EXPECT_EQ(losses[static_cast<std::size_t>(i)].item(), waiting.g.run(waiting.feeds(i), {waiting.loss}, waiting.updates)[0].item()) << i;
  }
}

TEST(CommandBuffer, CallsFunctionsInTheirTurn) {
  Fit fit;
  const Executable step = compile_step(fit);
  Queue queue;
  CommandBuffer buffer(queue);
  const Feeds feeds = fit.feeds(0);
  const std::vector<TensorData> ordered = {feeds.at(fit.x), feeds.at(fit.y)};
  const NDArray before = buffer.encode(step, ordered)[0];
  double seen = -1;
  NDArray changed(f32, {16});
  // What it reads is there, and what it writes is there for what comes later.
  buffer.encode_call([&] {
    seen = before.item();
    changed.assign(feeds.at(fit.y).array());
  });
  const NDArray after = buffer.encode(step, std::vector<TensorData>{changed, changed})[0];
  EXPECT_EQ(seen, -1);
  buffer.commit();
  buffer.wait();
  EXPECT_EQ(seen, before.item());
  EXPECT_GT(seen, 0);
  EXPECT_EQ(buffer.launches().apart, std::vector<std::string>{"run 1: a function is called before it"});
  EXPECT_NE(after.item(), before.item());
}

TEST(CommandBuffer, AFunctionThatThrowsFailsIt) {
  Fit fit;
  const Executable step = compile_step(fit);
  Queue queue;
  CommandBuffer buffer(queue);
  const Feeds feeds = fit.feeds(0);
  Event event;
  bool is_called = false;
  buffer.encode_call([] { throw RunError("not today"); });
  buffer.encode(step, std::vector<TensorData>{feeds.at(fit.x), feeds.at(fit.y)});
  buffer.encode_call([&] { is_called = true; });
  buffer.signal({event});
  buffer.commit();
  event.wait();
  EXPECT_THROW(buffer.wait(), RunError);
  EXPECT_EQ(buffer.status(), Status::failed);
  EXPECT_FALSE(is_called);
  EXPECT_EQ(fit.g.value(fit.w).item(), 0);
  EXPECT_THROW(buffer.encode_call([] {}), RunError);
}

}  // namespace
}  // namespace weft::queue_test
