// The text generator in the studio.
#pragma once

#include "apps/studio/rate.h"
#include "apps/studio/routes.h"
#include "apps/studio/worker.h"
#include "apps/text_training.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weft::apps::studio {

class TextDemonstration {
 public:
  struct Options {
    std::vector<std::filesystem::path> weights = {};  ///< beside those that come with weft
    std::filesystem::path corpus = {};                ///< empty: Shakespeare's, if it is found
  };
  TextDemonstration(Board& board, Options options, Backend backend);

  void add_to(Routes& routes);
  void use(Backend backend);

 private:
  struct Choice {
    std::string name;
    std::filesystem::path path;  ///< empty for what is trained here
  };
  struct Speech {
    TextModel* model;
    std::int64_t length, done = 0;
    double temperature, pace;  ///< characters a second; 0: as many as it can
    Clock::time_point begun = Clock::now();
    Rate rate = {};
  };

  void generate(const Call& call);
  void play(const Call& call);
  void reset();
  void set_temperature(double temperature);
  Answer corpus() const;
  Answer trained_weights();

  TextModel& model_named(const std::string& name);
  std::string read_corpus() const;
  Worker::Duration work();
  Worker::Duration speak();
  void learn();
  void validate();
  void tell_choices();
  void tell_training();

  Board& board_;
  Backend backend_;
  std::filesystem::path corpus_;
  std::vector<Choice> choices_;

  std::unique_ptr<TextModel> loaded_;
  std::string loaded_name_;
  std::optional<Speech> speech_;

  std::unique_ptr<TextModel> learner_;
  std::unique_ptr<TextTrainer> trainer_;
  SplitText text_;
  bool learns_ = false;
  Json new_losses_ = Json::array();
  Rate rate_;
  Every tells_{std::chrono::milliseconds(150)};

  Worker worker_;
};

/// $WEFT_DATA_DIR/shakespeare/input.txt or the one in the user's cache; empty when there is none.
std::filesystem::path find_shakespeare();

}  // namespace weft::apps::studio
