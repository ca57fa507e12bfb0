// The digit classifier in the studio.
#pragma once

#include "apps/digits_training.h"
#include "apps/studio/digits_shelf.h"
#include "apps/studio/rate.h"
#include "apps/studio/worker.h"

#include <memory>
#include <optional>
#include <string>

namespace weft::apps::studio {

class DigitsDemonstration {
 public:
  DigitsDemonstration(Board& board, DigitsShelf& shelf, Backend backend);

  void add_to(Routes& routes);
  void use(Backend backend);

 private:
  void play(const Call& call);
  void pause();
  void reset();
  void test();
  /// What a drawing, a square of grey pixels, is taken for.
  Json classify(const std::string& pixels);

  Worker::Duration work();
  void learn();
  void measure();
  void tell();

  Board& board_;
  DigitsChoice digits_;
  Backend backend_;

  std::unique_ptr<DigitsModel> model_;
  std::unique_ptr<DigitsTrainer> trainer_;
  std::optional<Evaluator> evaluator_;
  bool plays_ = false;
  std::int64_t target_ = 0;
  std::string mistakes_;
  Json new_losses_ = Json::array();
  Rate rate_;
  Every tells_{std::chrono::milliseconds(100)};

  Worker worker_;
};

}  // namespace weft::apps::studio
