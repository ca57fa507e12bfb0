#include <weft/primitives/temporary_array.h>

#include <iterator>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace weft {

TemporaryArray::TemporaryArray(NDArray array, int read_count) : array_(std::move(array)), read_count_(1) { set_read_count(read_count); }

void TemporaryArray::check() const {
  if (read_count_ == 0) throw RunError("temporary array: it has been read as often as was said");
}

NDArray& TemporaryArray::array() {
  check();
  return array_;
}

NDArray TemporaryArray::read() {
  check();
  return --read_count_ > 0 ? array_ : std::exchange(array_, NDArray());
}

void TemporaryArray::set_read_count(int count) {
  check();
  if (count < 1) throw RunError("temporary array: the read count must be 1 or more, " + std::to_string(count) + " is given");
  read_count_ = count;
}

struct ArrayPool::State {
  mutable std::mutex mutex;
  std::multimap<std::int64_t, NDArray> kept;  ///< by bytes
  std::int64_t bytes_in_use = 0, bytes_kept = 0;

  /// Kept memory for so many bytes of which no more than as many again would lie idle; otherwise new.
  NDArray take(std::int64_t bytes) {
    {
      const std::lock_guard lock(mutex);
      const auto found = kept.lower_bound(bytes);
      if (found != kept.end() && found->first / 2 <= bytes) {
        NDArray block = std::move(found->second);
        kept.erase(found);
        bytes_kept -= block.byte_count();
        bytes_in_use += block.byte_count();
        return block;
      }
    }
    NDArray block(u8, {bytes});
    const std::lock_guard lock(mutex);
    bytes_in_use += bytes;
    return block;
  }

  void give_back(NDArray block) {
    const std::int64_t bytes = block.byte_count();
    const std::lock_guard lock(mutex);
    bytes_in_use -= bytes;
    bytes_kept += bytes;
    kept.emplace(bytes, std::move(block));
  }
};

ArrayPool::ArrayPool() : state_(std::make_shared<State>()) {}

TemporaryArray ArrayPool::temporary(TensorType type, int read_count, Device device) {
  if (!device.is_cpu()) return {NDArray(std::move(type), device), read_count};
  if (!type.shape.is_static()) throw RunError("temporary array " + type.str() + ": an array's sizes must be known");
  std::int64_t bytes = 0;
  if (__builtin_mul_overflow(type.shape.element_count(), static_cast<std::int64_t>(size_of(type.dtype)), &bytes))
    throw RunError("temporary array " + type.str() + ": more bytes than memory can have");

  struct Loan {
    std::shared_ptr<State> pool;
    NDArray block;
    Loan(std::shared_ptr<State> from, std::int64_t bytes) : pool(std::move(from)), block(pool->take(bytes)) {}
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    ~Loan() {
      try {
        pool->give_back(std::move(block));
      } catch (...) {}  // no memory for the list of what is kept: it goes back to the system
    }
  };
  auto loan = std::make_shared<Loan>(state_, bytes);
  std::byte* data = loan->block.data();
  return {NDArray::wrap(data, std::move(type), {}, std::move(loan)), read_count};
}

std::int64_t ArrayPool::bytes_in_use() const {
  const std::lock_guard lock(state_->mutex);
  return state_->bytes_in_use;
}

std::int64_t ArrayPool::bytes_kept() const {
  const std::lock_guard lock(state_->mutex);
  return state_->bytes_kept;
}

void ArrayPool::clear() {
  std::multimap<std::int64_t, NDArray> gone;
  const std::lock_guard lock(state_->mutex);
  gone.swap(state_->kept);
  state_->bytes_kept = 0;
}

}  // namespace weft
