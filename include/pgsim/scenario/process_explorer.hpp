// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <memory>
#include <string>

#include "pgsim/scenario/process_script.hpp"
#include "pgsim/scenario/process_world.hpp"

namespace pgsim {

/// What the explorer page needs besides the story of a run: the page tables of each moment, and who wrote them.
///
///     ProcessWorld world{options};
///     ProcessRecording recording{world};
///     const ProcessStory story = run_process_script(script, world, recording.story_options());
///     formats::explorer_html(recording.document(story, "copy on write"));
class ProcessRecording {
public:
    /// Keeps the moment before the first step; from now on the world's memory has a journal.
    /// @param world  outlives the recording
    explicit ProcessRecording(ProcessWorld& world);
    /// Takes the journal away.
    ~ProcessRecording();
    ProcessRecording(const ProcessRecording&) = delete;
    ProcessRecording& operator=(const ProcessRecording&) = delete;

    /// `wanted` with what the page needs besides: trace and views, and each step is kept.
    [[nodiscard]] StoryOptions story_options(StoryOptions wanted = {});

    /// The document of the page. [docs/explorer-data.md "A run of processes"]
    /// @param story  the run that was recorded, all of it
    /// @param title  heading
    [[nodiscard]] std::string document(const ProcessStory& story, const std::string& title) const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace pgsim
